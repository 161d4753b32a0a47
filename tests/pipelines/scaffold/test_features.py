"""What drafted features make of columns: ranks, codes that are amounts too, the time between two dates."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import yaml

from components.schema import read_schema
from pipelines.scaffold import trial
from pipelines.scaffold.creating import Created, create
from pipelines.scaffold.request import Request

pytestmark = pytest.mark.usefixtures("places")
ROWS = 300


def _frame(rows: int = ROWS) -> pd.DataFrame:
    """Trips: `amount` from 0 up with a very long tail, a quarter of it missing."""
    start = pd.date_range("2026-01-01 23:00", periods=rows, freq="h")
    row = np.arange(rows)
    return pd.DataFrame(
        {
            "amount": pd.Series(np.exp(row / rows * 20)).mask(row % 4 == 3),
            "doors": row % 3 + 2,
            "start": start.strftime("%Y-%m-%d %H:%M"),
            "end": (start + pd.to_timedelta(row * 30, unit="min")).strftime("%Y-%m-%d %H:%M"),
            "label": row * 0.5,
        }
    )


def _create(folder: pathlib.Path, frame: pd.DataFrame) -> Created:
    frame.to_csv(folder / "data.csv", index=False)
    return create(Request(name="trips", data=str(folder / "data.csv"), label="label"))


def _features(
    created: Created, rows: Mapping[str, Sequence[Any]], scratch: pathlib.Path
) -> dict[str, npt.NDArray[Any]]:
    from tensorflow_transform.tf_metadata import schema_utils

    schema = read_schema(str(created.schemas))
    graph = trial._analyze(str(created.workload / "features.py"), schema, rows, "label", scratch)
    specs = schema_utils.schema_as_feature_spec(schema).feature_spec
    raw = {name: trial._tensor(rows[name], spec) for name, spec in specs.items() if name != "label"}
    return {name: np.asarray(tensor) for name, tensor in graph.transform_features_layer()(raw).items()}


def test_numbers_have_ranks_and_dates_a_time_between_them(places: pathlib.Path) -> None:
    frame = _frame()
    created = _create(places, frame)
    rows = {name: [None if pd.isna(value) else value for value in frame[name]] for name in frame}
    features = _features(created, rows, places / "scratch")
    # In the order of features.py: amount and doors, the two dates, the time from one to the other.
    assert features["numbers"].shape == features["ranks"].shape == (ROWS, 5)
    assert features["categories"].shape == (ROWS, 5)  # doors, weekday and month of each date
    places_of = {name: features["ranks"][:, column] for column, name in enumerate(_order(created))}
    row, known = np.arange(ROWS), frame["amount"].notna().to_numpy()
    np.testing.assert_allclose(places_of["amount"][known], (row / ROWS)[known], atol=0.03)
    assert (places_of["amount"][~known] == 0.5).all()
    np.testing.assert_allclose(places_of["between"], row / ROWS, atol=0.03)  # a day begins between most starts and ends
    assert sorted(set(places_of["doors"])) == sorted(set(places_of["doors"][:3]))
    assert features["missing"].shape == (ROWS, 1)
    np.testing.assert_array_equal(features["missing"][:, 0], ~known)


def _order(created: Created) -> list[str]:
    skewed = 'SKEWED: list[str] = ["amount"]' in (created.workload / "features.py").read_text(encoding="utf-8")
    return [*(("doors", "amount") if skewed else ("amount", "doors")), "start", "end", "between"]


@pytest.mark.parametrize(("rows", "most"), [(30, 200), (300, 50), (6000, 50)])
def test_few_rows_are_not_gone_through_too_often(places: pathlib.Path, rows: int, most: int) -> None:
    created = _create(places, _frame(rows))
    training = yaml.safe_load((created.workload / "workload.yaml").read_text(encoding="utf-8"))["training"]
    assert training["epochs"] == most and training["early_stopping_patience"] == most // 3
