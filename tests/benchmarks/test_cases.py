"""Every case's data, contracts and script; the measurements themselves take minutes and are run by hand."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.pipeline import case as cases
from benchmarks.pipeline.tabular import Table
from components.data_quality.contract import check_suite

ROWS = 1_200


@pytest.fixture(scope="module", params=cases.names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def data(name: str, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp(name)
    cases.load(name).generate(ROWS, folder)
    return folder


def test_the_data_is_the_same_every_time(name: str, data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    cases.load(name).generate(ROWS, tmp_path)
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {path.name: path.read_bytes() for path in data.iterdir()} == again, "and no other file: stock TFX reads all"
    assert not any(content.startswith(b'"') for content in again.values()), (
        "stock TFX takes quotes for part of the names"
    )


def test_the_contracts_fit_the_data(name: str, data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    from spec.workload import load_workload

    case = cases.load(name)
    cases.lay_out(name, tmp_path)
    workload = load_workload(tmp_path / "workloads" / "bench")
    assert (workload.training.batch_size, workload.training.epochs) == (case.batch_size, case.epochs)
    schema = text_format.Parse((tmp_path / "schemas/bench/schema.pbtxt").read_text(), schema_pb2.Schema())
    columns = {feature.name for feature in schema.feature}
    assert set(case.read(data).column_names) == columns and case.width == len(columns)
    check_suite(tmp_path / "schemas/bench/expectations.json", tmp_path / "schemas/bench")


@pytest.mark.slow
def test_the_script_s_features_are_tft_s(name: str, data: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """Same names, shapes and types, and the same numbers but for the ids, whose order is each side's own."""
    # 300 columns take TFT half a minute and show no more than ten do.
    case = Table(floats=5, ints=2, words=3) if name == "wide" else cases.load(name)
    if name == "wide":
        data = tmp_path
        case.generate(ROWS, data)
    table = case.read(data)
    by_hand = case.transform(table, case.analyse(table))
    theirs = _by_tft(case, table, tmp_path)
    assert set(by_hand) == set(theirs)
    for feature, values in by_hand.items():
        assert (values.shape, values.dtype.kind) == (theirs[feature].shape, theirs[feature].dtype.kind), feature
        if values.dtype == np.float32:
            np.testing.assert_allclose(values, theirs[feature], atol=2e-3, err_msg=feature)
        else:
            # Ids by frequency: values as frequent as each other may change places, the frequencies may not.
            counts = [np.sort(np.unique(one, return_counts=True)[1]) for one in (values, theirs[feature])]
            assert np.array_equal(*counts), feature


def _by_tft(case: cases.Case, table: pa.Table, folder: pathlib.Path) -> dict[str, np.ndarray]:
    import tensorflow_transform.beam as tft_beam
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_transform.tf_metadata import dataset_metadata

    def features(inputs: dict[str, Any]) -> dict[str, Any]:
        return case.preprocessing_fn({name: column for name, column in inputs.items() if name != case.label})

    metadata = dataset_metadata.DatasetMetadata(text_format.Parse(case.schema(), schema_pb2.Schema()))
    with tft_beam.Context(temp_dir=str(folder)):
        (rows, _), _ = (_instances(table), metadata) | tft_beam.AnalyzeAndTransformDataset(features)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _instances(table: pa.Table) -> list[dict[str, Any]]:
    return [{name: [] if value is None else value for name, value in row.items()} for row in table.to_pylist()]


def test_goals_are_judged_by_lines_of_the_table() -> None:
    from benchmarks.pipeline.measurement import LINES

    goals = [goal for name in cases.names() for rows in (5_000, 500_000) for goal in cases.load(name).goals(rows)]
    assert goals and {goal.line for goal in goals} <= set(LINES)
    assert json.dumps(cases.load("taxi").expectations())
