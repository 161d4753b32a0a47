"""What the model needs: known of models whose use of their columns is known."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.evaluator import importance
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.evaluator.importance import column_importance
from components.tasks.binary import Binary
from components.tasks.ranking import Ranking
from components.tasks.reconstruction import Reconstruction
from components.tasks.regression import Regression

Measure = Callable[..., dict[str, Any]]


@pytest.fixture
def measure(model_artifact: Callable[..., Any], examples_artifact: Callable[..., Any]) -> Measure:
    """Asks a model of `fare`, `hour`, `company` and `pixels`."""

    def go(table: pa.Table, task: Any, weight: float = 1.0, **options: Any) -> dict[str, Any]:
        fields = {"task": task.name, "label": "target", "importance": options}
        fields |= {"query": "search"} if task.needs_query else {}
        model = pathlib.Path(model_artifact(task.name, weight=weight).uri) / "Format-Serving"
        config = EvaluationConfig.model_validate(fields)
        found = column_importance(
            Findings(task, (), None, 1), examples_artifact(table).uri, model, config, pictures=["pixels"]
        )
        assert found is not None
        return found

    return go


def test_the_loss_is_what_shuffling_takes(measure: Measure, make_rows: Callable[..., pa.Table]) -> None:
    rows = make_rows(1200, "regression")
    # The label is the model's own answer: its error is nought, and that of a shuffled column is known.
    fare = np.nan_to_num(rows["fare"].to_numpy(zero_copy_only=False))
    hour, pixels = rows["hour"].to_numpy(), np.array(rows["pixels"].to_pylist()).sum(axis=1)
    cash = 0.5 * np.array([one == "cash" for one in rows["company"].to_pylist()])
    place = rows.schema.get_field_index("target")
    rows = rows.set_column(place, "target", pa.array(fare + 0.1 * hour - 1 + cash + pixels))
    found = measure(rows, Regression(), rows=1200, repeats=4)
    assert found["value"] == pytest.approx(0, abs=1e-5) and found["rows"] == 1200
    drops = {one["column"]: one for one in found["columns"]}
    # Two rows of a column differ by a mean square of twice its variance.
    for name, values in (("fare", fare), ("hour", 0.1 * hour), ("company", cash)):
        assert drops[name]["drop"] == pytest.approx(np.sqrt(2) * values.std(), rel=0.05)
        assert drops[name]["least"] <= drops[name]["drop"] <= drops[name]["most"]
    assert [one["column"] for one in found["columns"]] == ["fare", "hour", "company"], "pixels are a picture"
    assert found == measure(rows, Regression(), rows=1200, repeats=4), "chance has a seed"


def test_a_model_that_looks_at_nothing_needs_nothing(measure: Measure, make_rows: Callable[..., pa.Table]) -> None:
    found = measure(make_rows(600), Binary(["0", "1"]), weight=0.0)
    assert found["metric"] == "auc" and [one["drop"] for one in found["columns"]] == [0, 0, 0]


def test_queries_are_looked_at_as_a_whole(measure: Measure, make_rows: Callable[..., pa.Table]) -> None:
    found = measure(make_rows(600, "ranking"), Ranking(), rows=200)
    assert found["metric"] == "ndcg_10" and 150 < found["rows"] <= 200
    assert found["columns"][0]["column"] == "fare" and found["columns"][0]["drop"] > 0


def test_what_there_is_no_time_for_is_named(
    measure: Measure, make_rows: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importance, "_MOST_ASKED", 2000)
    found = measure(make_rows(600), Binary(["0", "1"]))
    assert found["rows"] == 200 and found["left_out"] == ["company"] and len(found["columns"]) == 2


def test_where_it_cannot_be_measured_it_says_why(measure: Measure, make_rows: Callable[..., pa.Table]) -> None:
    one_class = make_rows(300).filter(pa.compute.equal(make_rows(300)["target"], 1))
    assert "auc is undefined" in measure(one_class, Binary(["0", "1"]))["why_not"]


def test_a_task_without_an_answer_for_a_row_has_none(make_rows: Callable[..., pa.Table]) -> None:
    config = EvaluationConfig.model_validate({"task": "reconstruction"})
    found = column_importance(Findings(Reconstruction(), (), None, 1), "", pathlib.Path(), config)
    assert found is not None and "task reconstruction does not answer" in found["why_not"]
    off = config.model_copy(update={"importance": config.importance.model_copy(update={"rows": 0})})
    assert column_importance(Findings(Reconstruction(), (), None, 1), "", pathlib.Path(), off) is None
