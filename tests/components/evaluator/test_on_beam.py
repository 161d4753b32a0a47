"""The same evaluation in this process and on Beam, whose workers see the row groups in any order."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from tfx.dsl.components.base import base_beam_executor
from tfx.types import standard_artifacts

from components.evaluator.executor import Executor
from spec.errors import InputError

IN_MEMORY = ["--runner=DirectRunner", "--direct_running_mode=in_memory", "--direct_num_workers=1"]
TWO_PROCESSES = ["--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=2"]
DEFAULT_METRIC = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse", "ranking": "ndcg_10"}


@pytest.fixture
def run(
    model_artifact: Callable[..., Any],
    examples_artifact: Callable[..., Any],
    output: Callable[..., Any],
    tmp_path: pathlib.Path,
) -> Callable[..., dict[str, Any]]:
    """Runs the executor against a champion on row groups of 1000 rows; returns metrics.json."""

    def go(rows: pa.Table, task: str, beam_args: list[str], champion: Any = None, **fields: Any) -> dict[str, Any]:
        made = output(evaluation=standard_artifacts.ModelEvaluation, blessing=standard_artifacts.ModelBlessing)
        champion = champion or model_artifact(task, weight=-1.0, champion_version=4)
        inputs = {
            "examples": [examples_artifact(rows, rows_per_group=1000)],
            "model": [model_artifact(task)],
            "champion": [champion],
        }
        config = {
            "task": task,
            "label": "target",
            "slices": ["company", "hour"],
            "query": "search" if task == "ranking" else None,
            **fields,
        }
        context = base_beam_executor.BaseBeamExecutor.Context(
            beam_pipeline_args=beam_args, tmp_dir=str(tmp_path / "scratch"), unique_id="1"
        )
        Executor(context).Do(inputs, made, {"evaluation_config": json.dumps(config)})
        return json.loads((pathlib.Path(made["evaluation"][0].uri) / "metrics.json").read_text())

    return go


def assert_same(found: Any, expected: Any, where: str = "") -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_same(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, value in enumerate(expected):
            assert_same(found[number], value, f"{where}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12), where
    else:
        assert found == expected, where


@pytest.mark.parametrize("task", list(DEFAULT_METRIC))
def test_in_memory(run: Callable[..., Any], make_rows: Callable[..., pa.Table], task: str) -> None:
    rows = make_rows(4500, task)
    here, there = run(rows, task, []), run(rows, task, IN_MEMORY)
    assert here["champion"]["ci_low"] < here["champion"]["ci_high"]
    assert_same(there, here)


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "ranking"])
def test_two_worker_processes(run: Callable[..., Any], make_rows: Callable[..., pa.Table], task: str) -> None:
    rows = make_rows(4500, task)
    assert_same(run(rows, task, TWO_PROCESSES), run(rows, task, []))


def test_a_champion_that_fails_somewhere_has_the_same_reason(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table], model_artifact: Callable[..., Any]
) -> None:
    failing = model_artifact("regression", damage="raise", champion_version=4)
    here, there = (run(make_rows(3000, "regression"), "regression", args, failing) for args in ([], IN_MEMORY))
    assert here["champion"] is None and "too warm today" in here["warnings"][0]
    assert_same(there, here)


def with_bad_labels(rows: pa.Table) -> pa.Table:
    labels = rows["target"].to_pylist()
    labels[2500], labels[1500] = 7, 8
    return rows.set_column(rows.schema.get_field_index("target"), "target", pa.array(labels))


@pytest.mark.parametrize(
    "beam_args",
    [[], IN_MEMORY, pytest.param(TWO_PROCESSES, marks=pytest.mark.slow)],
    ids=["here", "memory", "processes"],
)
def test_what_a_person_has_to_mend_is_one_line(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table], beam_args: list[str]
) -> None:
    with pytest.raises(
        InputError, match=r"label 'target': labels outside the model's classes .* Received: '8'"
    ) as caught:
        run(with_bad_labels(make_rows(4500)), "binary", beam_args)
    assert "\n" not in str(caught.value) and "Traceback" not in str(caught.value)
