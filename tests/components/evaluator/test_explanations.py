"""What moved the answers, of a model whose use of its columns is known."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.evaluator.config import EvaluationConfig
from components.evaluator.explanations import explanations

CONFIG = EvaluationConfig.model_validate({"task": "regression", "label": "target"})


def saved(model: Any) -> pathlib.Path:
    return pathlib.Path(model.uri) / "Format-Serving"


def test_columns_are_summed_up_over_rows_of_test(
    model_artifact: Callable[..., Any], examples_artifact: Callable[..., Any], make_rows: Callable[..., pa.Table]
) -> None:
    rows = make_rows(200, "regression")
    found = explanations(examples_artifact(rows).uri, saved(model_artifact("regression", explains=True)), CONFIG)
    assert found is not None and found["rows"] == 200 and found["residual"] < 1e-5
    sizes = {
        "fare": np.abs(np.nan_to_num(rows["fare"].to_numpy())),
        "hour": 0.1 * rows["hour"].to_numpy(),
        "company": 0.5 * np.array([one == "cash" for one in rows["company"].to_pylist()]),
        "pixels": np.abs(np.array(rows["pixels"].to_pylist()).sum(axis=1)),
    }
    by_size = sorted(sizes, key=lambda name: -sizes[name].mean())
    assert [one["column"] for one in found["columns"]] == by_size
    for one in found["columns"]:
        assert one["size"] == pytest.approx(sizes[one["column"]].mean(), rel=1e-4)
        assert one["quarters"] == pytest.approx(np.quantile(sizes[one["column"]], [0.25, 0.75]), abs=1e-5)


def test_many_rows_are_drawn_from_and_a_model_may_not_explain(
    model_artifact: Callable[..., Any], examples_artifact: Callable[..., Any], make_rows: Callable[..., pa.Table]
) -> None:
    uri = examples_artifact(make_rows(1000, "regression")).uri
    explains, plain = (saved(model_artifact("regression", explains=one)) for one in (True, False))
    found = explanations(uri, explains, CONFIG)
    assert found is not None and found["rows"] == 256 and found == explanations(uri, explains, CONFIG)
    assert explanations(uri, plain, CONFIG) is None


def test_a_model_that_fails_at_it_costs_no_evaluation(
    model_artifact: Callable[..., Any], examples_artifact: Callable[..., Any], make_rows: Callable[..., pa.Table]
) -> None:
    model = saved(model_artifact("regression", explains=True, damage="raise"))
    found = explanations(examples_artifact(make_rows(20, "regression")).uri, model, CONFIG)
    assert found is not None and "too warm today" in found["why_not"] and found["columns"] == []
