"""`trainyard new` on tables that have no label, or one that is for judging alone."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.schema import classes_of, read_schema
from pipelines.run import Display, RunRequest, run
from pipelines.scaffold.creating import Created, create
from pipelines.scaffold.request import Request
from spec.errors import InputError
from spec.workload import load_workload

ROWS = 400


def readings() -> pd.DataFrame:
    """A machine: one load moves all that is measured. Of the odd rows, two measurements come from other rows."""
    random = np.random.default_rng(3)
    load = random.normal(size=ROWS)
    frame = pd.DataFrame(
        {
            "heat": 60 + 8 * load + random.normal(0, 0.4, ROWS),
            "current": np.where(np.arange(ROWS) % 11 == 0, np.nan, 3 + load),
            "vibration": np.exp(2 * load),
            "mode": np.where(load > 0.5, "full", np.where(load > -0.5, "half", "idle")),
            "fan": np.where(load > 0, "on", "off"),
            "seen": pd.date_range("2026-01-01", periods=ROWS, freq="h").astype(str),
            "odd": np.where(random.random(ROWS) < 0.2, "yes", "no"),
        }
    )
    odd = frame["odd"] == "yes"
    for name in ("heat", "vibration"):
        frame.loc[odd, name] = random.permutation(frame.loc[odd, name].to_numpy())
    return frame


def make(places: pathlib.Path, frame: pd.DataFrame, **options: Any) -> Created:
    data = places / "readings.csv"
    frame.to_csv(data, index=False)
    return create(Request(**{"name": "sensors", "data": str(data), "task": "reconstruction"} | options))


def test_a_table_without_a_label_becomes_a_reconstruction(places: pathlib.Path) -> None:
    created = make(places, readings().drop(columns="odd"))
    workload = load_workload(created.workload)
    assert (workload.task, workload.data.label) == ("reconstruction", None)
    assert [(bar.metric, bar.max) for bar in workload.evaluation.thresholds] == [("mse", 0.9)]
    assert workload.data.ignore == ("seen",) and "it is a date" in created.profile.ignored["seen"]
    features = (created.workload / "features.py").read_text()
    assert 'NUMERIC: list[str] = ["heat", "current"]' in features and "CATEGORIES = 5 " in features
    assert {one.name for one in read_schema(str(created.schemas)).feature} == {
        "heat", "current", "vibration", "mode", "fan"
    }  # fmt: skip


def test_a_label_says_what_is_anomalous_and_is_for_judging_alone(places: pathlib.Path) -> None:
    created = make(places, readings(), label="odd")
    workload = load_workload(created.workload)
    assert workload.data.label.positive_class == "yes" and workload.training.class_weights == "none"
    assert [bar.metric for bar in workload.evaluation.thresholds] == ["mse", "auc"]
    assert classes_of(read_schema(str(created.schemas)), "odd") == ["no", "yes"]
    with pytest.raises(InputError, match="'mode' says which rows are anomalous"):
        make(places, readings(), name="other", label="mode")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"task": None}, "--label: is missing.*--task reconstruction"),
        ({"task": "regression"}, "--task regression: .* does not draft this task without a label"),
        ({"positive": "yes"}, "--positive: is about a label"),
        ({"time": "when"}, "--time 'when'"),
    ],
)
def test_what_cannot_be_done_without_a_label_is_refused(
    places: pathlib.Path, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        make(places, readings(), **options)


@pytest.mark.slow  # a whole run
def test_the_draft_trains_and_tells_odd_rows(places: pathlib.Path) -> None:
    make(places, readings(), label="odd")
    result = run(RunRequest("sensors"), Display())
    assert result.release is not None
    assert result.metrics["mse"] < 0.3 and result.metrics["auc"] > 0.75
