from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tfx.types import standard_artifacts

from components import border
from components.artifacts import BaselineMetrics
from components.champion.artifact import champion_version
from components.evaluator.bootstrap import PairedSample
from components.evaluator.config import EvaluationConfig
from components.evaluator.executor import Executor
from components.gates import GateResult
from spec.errors import InputError
from spec.workload import Workload


def config_json(task: str = "binary", **fields: Any) -> str:
    return json.dumps({"task": task, "label": "target", **fields})


@pytest.fixture
def run(
    model_artifact: Callable[..., Any], examples_artifact: Callable[..., Any], output: Callable[..., Any]
) -> Callable[..., tuple[dict[str, Any], Any]]:
    """Runs the executor; returns metrics.json and the blessing."""

    def go(
        rows: pa.Table,
        task: str = "binary",
        *,
        champion: Any = None,
        baseline: Any = None,
        model: Any = None,
        max_loss: float = 0,
        metric: str | None = None,
        **fields: Any,
    ) -> tuple[dict[str, Any], Any]:
        made = output(evaluation=standard_artifacts.ModelEvaluation, blessing=standard_artifacts.ModelBlessing)
        inputs = {"examples": [examples_artifact(rows)], "model": [model or model_artifact(task)]}
        if champion is not None:
            inputs["champion"] = [champion]
        if baseline is not None:
            inputs["baseline"] = [baseline]
        Executor().Do(
            inputs,
            made,
            {"evaluation_config": config_json(task, champion={"max_loss": max_loss, "metric": metric}, **fields)},
        )
        folder = pathlib.Path(made["evaluation"][0].uri)
        summary = json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)
        gate = GateResult.from_json((folder / "gate.json").read_text())
        assert gate.passes == summary["blessed"] == bool(made["blessing"][0].get_int_custom_property("blessed"))
        return summary, made["blessing"][0]

    return go


def test_a_workload_s_evaluation_is_understood() -> None:
    workload = Workload.model_validate(
        {
            "name": "taxi",
            "task": "binary",
            "data": {"label": {"column": "big_tip"}},
            "evaluation": {
                "thresholds": [{"metric": "auc", "min": 0.7}, {"metric": "log_loss", "max": 1, "slice": "company"}],
                "slices": ["payment_type"],
                "champion": {"max_loss": 0.01},
            },
        }
    )
    fields = {
        "task": workload.task,
        "label": workload.data.label_column,
        **workload.evaluation.model_dump(mode="json"),
    }
    config = border.load(EvaluationConfig, json.dumps(fields))
    assert config.champion.max_loss == 0.01 and config.slice_columns == ("payment_type", "company")
    assert str(config.thresholds[1]) == "log_loss <= 1 in every slice of company"


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"task": "ranking"}',
        config_json(wrong=1),
        config_json(champion={"metric": 7}),
        config_json("ranking"),
        config_json(query="search"),
    ],
)
def test_a_wrong_configuration_says_so(text: str) -> None:
    with pytest.raises(InputError, match="evaluation"):
        border.load(EvaluationConfig, text)


def test_binary_model_is_judged_overall_and_by_slice(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table]
) -> None:
    rows = make_rows(3000)
    bounds = [{"metric": "auc", "min": 0.7}, {"metric": "accuracy", "min": 0.6, "slice": "company", "min_rows": 50}]
    summary, blessing = run(rows, thresholds=bounds, slices=["company"])
    assert summary["blessed"] and summary["reasons"] == [] and summary["champion"] is None
    assert summary["rows"] == 3000 and summary["span"] == 3 and summary["classes"] == ["0", "1"]
    assert sum(s["rows"] for s in summary["slices"]) == 3000
    assert {s["value"] for s in summary["slices"]} == {"cash", "card", "app", "(missing)"}
    counts = np.array(summary["confusion_matrix"]["counts"])
    assert counts.sum() == 3000 and np.trace(counts) / 3000 == pytest.approx(summary["overall"]["accuracy"])
    roc = summary["roc"]
    assert roc["fpr"][0] == roc["tpr"][0] == 0 and roc["fpr"][-1] == roc["tpr"][-1] == 1
    assert 20 < len(roc["fpr"]) <= 200 and np.trapezoid(roc["tpr"], roc["fpr"]) == pytest.approx(
        summary["overall"]["auc"], abs=1e-3
    )
    curve = summary["precision_recall"]
    assert curve["positives"] == counts[1].sum() and curve["positive_share"] == pytest.approx(counts[1].sum() / 3000)
    assert curve["recall"] == sorted(curve["recall"]) and curve["recall"][-1] == 1 and len(curve["recall"]) <= 200
    assert np.trapezoid(curve["precision"], curve["recall"]) == pytest.approx(summary["overall"]["auc_pr"], abs=5e-3)
    assert sum(summary["calibration"]["count"]) == 3000
    assert (pathlib.Path(blessing.uri) / "BLESSED").is_file()
    assert blessing.get_int_custom_property("rows_in") == 3000


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_other_tasks(run: Callable[..., Any], make_rows: Callable[..., pa.Table], task: str) -> None:
    bound = {"metric": "accuracy", "min": 0.5} if task == "multiclass" else {"metric": "rmse", "max": 1.2}
    summary, _ = run(make_rows(2000, task), task, thresholds=[bound])
    assert summary["blessed"], summary["reasons"]
    if task == "regression":
        assert sum(summary["residuals"]["counts"]) == 2000 and summary["confusion_matrix"] is None
        assert len(summary["residuals"]["edges"]) == len(summary["residuals"]["counts"]) + 1
    else:
        assert np.sum(summary["confusion_matrix"]["counts"]) == 2000 and summary["residuals"] is None


def ranked(rows: pa.Table) -> dict[str, Any]:
    return {"rows": rows, "task": "ranking", "query": "search"}


def test_ranking(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    bounds = [{"metric": "ndcg_10", "min": 0.7}, {"metric": "mrr", "min": 0.5, "slice": "company"}]
    summary, blessing = run(**ranked(make_rows(2400, "ranking")), thresholds=bounds)
    assert summary["blessed"], summary["reasons"]
    assert summary["queries"]["all"] == 200 >= summary["queries"]["judged"] > 150
    assert blessing.get_int_custom_property("rows_in") == summary["rows"] == 2400
    assert sum(one["rows"] for one in summary["slices"]) == 2400 and summary["roc"] is None


def test_one_row_a_query_is_a_warning(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    rows = make_rows(300, "ranking")
    summary, _ = run(**ranked(replaced(rows, "search", [str(one) for one in range(300)])))
    assert summary["overall"]["ndcg_10"] == 1 and "300 of 300 queries have one row" in summary["warnings"][0]
    summary, _ = run(**ranked(replaced(rows, "target", [0] * 300)), thresholds=[{"metric": "map", "min": 0.1}])
    assert summary["reasons"] == ["map >= 0.1 was not judged: 0 queries are too few (min_rows 10); give more data"]
    assert "relevance above 0" in summary["warnings"][0]


@pytest.mark.parametrize(
    ("column", "values", "says"),
    [
        ("target", [-1.0] + [1.0] * 49, "label 'target': a relevance is 0 or more. Received: -1"),
        ("target", ["much"] * 50, "ranking needs numbers"),
        ("search", [None] + ["a"] * 49, "data.query: 1 of 50 values of column 'search' are missing"),
    ],
)
def test_rows_that_cannot_be_ranked(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table], column: str, values: list[Any], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        run(**ranked(replaced(make_rows(50, "ranking"), column, values)))


def test_a_missing_query_column_is_named(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    with pytest.raises(InputError, match=r"no column 'search' \(data.query names it"):
        run(make_rows(50, "ranking").drop_columns(["search"]), "ranking", query="search")


def test_a_broken_bound_is_told_with_figures(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    bounds = [{"metric": "auc", "min": 0.99}, {"metric": "accuracy", "min": 0.95, "slice": "company"}]
    summary, blessing = run(make_rows(3000), thresholds=bounds)
    assert not summary["blessed"]
    assert summary["reasons"][0] == f"auc {summary['overall']['auc']:.4f} is below 0.99"
    assert summary["reasons"][1].startswith("4 of 4 slices of company break a bound: ")
    assert (pathlib.Path(blessing.uri) / "NOT_BLESSED").is_file()
    assert "is below 0.99" in blessing.get_string_custom_property("reason")


def test_a_bound_that_no_slice_is_large_enough_for_holds_the_release_back(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table]
) -> None:
    bound = {"metric": "accuracy", "min": 0.99, "slice": "company", "min_rows": 100_000}
    summary, _ = run(make_rows(500), thresholds=[bound])
    assert not summary["blessed"] and len(summary["slices"]) == 4
    assert (
        "in every slice of company was not judged: none of 4 slices of company has 100,000 rows"
        in summary["reasons"][0]
    )
    summary, _ = run(make_rows(500), thresholds=[bound], not_judged="warn")
    assert summary["blessed"] and summary["reasons"] == [] and "was not judged" in summary["warnings"][0]


def test_a_bar_that_holds_by_chance_alone_is_missed(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table]
) -> None:
    rows = make_rows(60)
    found = run(rows)[0]["overall"]["auc"]
    summary, _ = run(rows, thresholds=[{"metric": "auc", "min": found - 0.01}])
    sure = summary["bounds"]["auc"]
    assert sure["low"] < found - 0.01 and sure["gated"] and summary["trivial"]["auc"] == 0.5
    assert (
        not summary["blessed"]
        and f"but not surely: 95 % at least {sure['low']:.4f} on 60 rows" in summary["reasons"][0]
    )
    assert [bar["verdict"] for bar in summary["bars"]] == ["failed"]
    assert run(rows, thresholds=[{"metric": "auc", "min": sure["low"] - 0.001}])[0]["blessed"]
    assert run(rows, thresholds=[{"metric": "auc", "min": found - 0.01}], confidence=0.5)[0]["blessed"]


def test_a_slice_on_which_a_metric_is_undefined_is_not_judged(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table]
) -> None:
    rows = make_rows(1200)
    target, company = rows.column("target").to_numpy(), rows.column("company").to_pylist()
    alike = [0 if one == "cash" else int(label) for one, label in zip(company, target, strict=True)]
    summary, _ = run(replaced(rows, "target", alike), thresholds=[{"metric": "auc", "min": 0.1, "slice": "company"}])
    assert (
        not summary["blessed"]
        and "was not judged: 1 of 3 slices of company: 'cash': auc is undefined" in summary["reasons"][0]
    )


def test_challenger_against_champion(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table], model_artifact: Callable[..., Any]
) -> None:
    rows = make_rows(4000)
    good, worse = model_artifact(), model_artifact(weight=-1.0)
    for one in (good, worse):
        one.set_int_custom_property("champion_version", 7)
    assert champion_version(good) == 7
    summary, _ = run(rows, champion=good)
    same = summary["champion"]
    assert summary["blessed"] and same["difference"] == same["ci_low"] == same["ci_high"] == 0

    summary, _ = run(rows, champion=worse)
    better = summary["champion"]
    assert summary["blessed"] and better["version"] == 7 and better["metric"] == "auc"
    assert better["ci_low"] < better["difference"] < better["ci_high"]
    assert 0 < better["ci_high"] - better["ci_low"] < 0.1

    summary, _ = run(rows, champion=good, model=model_artifact(weight=-1.0))
    assert not summary["blessed"]
    assert "worse than champion version 7" in summary["reasons"][0] and "95% interval" in summary["reasons"][0]

    summary, _ = run(rows, champion=good, model=model_artifact(weight=-1.0), max_loss=1.0)
    assert summary["blessed"]


def test_the_interval_does_not_change_from_run_to_run(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table], model_artifact: Callable[..., Any]
) -> None:
    rows = make_rows(1000)
    champion = model_artifact(weight=0.2, champion_version=2)
    first, second = (run(rows, champion=champion)[0]["champion"] for _ in range(2))
    assert first == second


def test_challenger_and_champion_are_measured_at_their_own_thresholds(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table], model_artifact: Callable[..., Any]
) -> None:
    rows, low = make_rows(1000), model_artifact(threshold=0.2, champion_version=7)
    summary, _ = run(rows, champion=low)
    champion, counts = summary["champion"], np.array(summary["confusion_matrix"]["counts"])
    assert (summary["threshold"], champion["threshold"]) == (0.5, 0.2)
    assert champion["overall"]["auc"] == summary["overall"]["auc"]
    assert champion["overall"]["recall"] > summary["overall"]["recall"] == pytest.approx(counts[1, 1] / counts[1].sum())

    summary, _ = run(rows, champion=model_artifact(champion_version=7), model=low, metric="recall")
    better = summary["champion"]
    assert summary["blessed"] and better["metric"] == "recall" and 0 < better["ci_low"] < better["difference"]


def test_a_champion_that_does_not_fit_the_data_is_left_out(
    run: Callable[..., Any],
    make_rows: Callable[..., pa.Table],
    model_artifact: Callable[..., Any],
    tmp_path: pathlib.Path,
) -> None:
    other_task = model_artifact("multiclass", champion_version=4)
    summary, _ = run(make_rows(500), champion=other_task, thresholds=[{"metric": "auc", "min": 0.6}])
    assert summary["blessed"] and summary["champion"] is None
    assert (
        "version 4 cannot be compared" in summary["warnings"][0] and "its task is multiclass" in summary["warnings"][0]
    )

    summary, _ = run(make_rows(500), champion=model_artifact(damage="nan", champion_version=4))
    assert summary["champion"] is None and "not finite" in summary["warnings"][0]

    failing = model_artifact(damage="raise", champion_version=4)
    summary, _ = run(make_rows(500), champion=failing)
    assert "too warm today" in summary["warnings"][0]


def test_no_champion_yet(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    empty = standard_artifacts.Model()
    empty.set_int_custom_property("champion_version", 0)
    summary, _ = run(make_rows(300), champion=empty)
    assert summary["blessed"] and summary["champion"] is None and summary["warnings"] == []


def test_predictions_that_are_no_numbers_are_refused(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table], model_artifact: Callable[..., Any]
) -> None:
    summary, _ = run(make_rows(300), model=model_artifact(damage="nan"), thresholds=[{"metric": "auc", "min": 0.1}])
    assert not summary["blessed"] and "300 of 300 predictions are not finite" in summary["reasons"][0]
    assert summary["overall"]["auc"] is None
    summary, _ = run(make_rows(300), model=model_artifact(damage="range"))
    assert not summary["blessed"] and "probability" in summary["reasons"][0]


def test_a_single_class(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    rows = make_rows(300)
    rows = rows.set_column(rows.schema.get_field_index("target"), "target", pa.array(np.zeros(300, np.int64)))
    summary, _ = run(rows, thresholds=[{"metric": "auc", "min": 0.5}])
    assert not summary["blessed"] and summary["reasons"] == [
        "auc >= 0.5 was not judged: auc is undefined on these 300 rows"
    ]
    assert "all 300 rows of the test split are of class '0'" in summary["warnings"][0] and summary["roc"] is None


def test_a_column_of_identifiers_is_not_sliced_by(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    rows = make_rows(3000).append_column("trip", pa.array([f"t{i}" for i in range(3000)]))
    summary, _ = run(rows, slices=["trip", "company"])
    assert summary["blessed"] and "'trip' has more values" in summary["warnings"][0]
    assert {s["column"] for s in summary["slices"]} == {"company"}
    summary, _ = run(rows, thresholds=[{"metric": "auc", "min": 0.1, "slice": "trip"}])
    assert not summary["blessed"] and "was not judged: column 'trip' has more values" in summary["reasons"][0]


def replaced(rows: pa.Table, column: str, values: Any) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(column), column, pa.array(values))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: rows.slice(0, 0), "test split has no rows"),
        (lambda rows: rows.drop_columns(["target"]), "no column 'target'"),
        (lambda rows: rows.drop_columns(["hour"]), "no column 'hour'"),
        (lambda rows: replaced(rows, "target", [2] * 50), "labels outside the model's classes"),
        (lambda rows: replaced(rows, "target", [None] + [1] * 49), "1 of 50 labels are missing"),
        (lambda rows: replaced(rows, "hour", [None] + [1] * 49), "column 'hour': 1 of 50 values are missing"),
        (lambda rows: replaced(rows, "hour", ["noon"] * 50), "column 'hour': the model takes int64"),
    ],
)
def test_data_that_cannot_be_evaluated(
    run: Callable[..., Any], make_rows: Callable[..., pa.Table], change: Callable[[pa.Table], pa.Table], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        run(change(make_rows(50)))


def test_the_sample_does_not_depend_on_how_rows_come_together() -> None:
    labels = np.arange(50_000.0)

    def sample(parts: list[np.ndarray]) -> PairedSample:
        one = PairedSample(3)
        for part in parts:
            one.add(part, labels[part], -labels[part])
        return one

    places = np.arange(50_000)
    whole = sample([places])
    first, second = sample(np.split(places[:31_000], 31)), sample(np.split(places[31_000:], 19))
    second.merge(first)
    assert second.rows_seen == whole.rows_seen == 50_000
    for found, expected in zip(second.arrays(), whole.arrays(), strict=True):
        np.testing.assert_array_equal(found, expected)
    kept = whole.arrays()[0]
    assert len(kept) == 20_000 and abs(kept.mean() - 25_000) < 400, "uniform: four standard errors"


def test_a_missing_slice_column_is_named(run: Callable[..., Any], make_rows: Callable[..., pa.Table]) -> None:
    with pytest.raises(InputError, match="no column 'borough'"):
        run(make_rows(50), slices=["borough"])


def _simple(name: str, auc: float | None = None, not_applicable: str = "") -> dict[str, Any]:
    return {"name": name, "overall": {} if not_applicable else {"auc": auc}, "not_applicable": not_applicable}


@pytest.mark.parametrize(
    ("methods", "name", "wins", "words"),
    [
        (
            [_simple("trees", 0.99)],
            "trees",
            True,
            r"trees reaches auc 0.9900, the model 0.\d{4}: trees wins, the network adds nothing",
        ),
        ([_simple("trees", 0.4)], "trees", False, r"trees reaches auc 0.4000, the model 0.\d{4}"),
        (
            [_simple("words", 0.98), _simple("trees", 0.4), _simple("graph", 0.99), _simple("coin", None, "no coin")],
            "graph",
            True,
            r"words reaches auc 0.9800, trees 0.4000, graph 0.9900, the model 0.\d{4}: graph wins, the network adds nothing; "
            "coin was not compared: no coin",
        ),
        ([_simple("trees")], "", None, "trees was not compared: auc is undefined on these rows"),
        ([_simple("trees", None, "no column is a number")], "", None, "trees was not compared: no column is a number"),
    ],
)
def test_simple_methods_stand_beside_the_model(run, make_rows, tmp_path, methods, name, wins, words) -> None:
    baseline = BaselineMetrics()
    baseline.uri = str(tmp_path)
    (tmp_path / "baseline.json").write_text(json.dumps({"methods": methods}))
    summary, _ = run(make_rows(500), baseline=baseline)
    found = summary["baseline"]
    assert (found["name"], found["wins"], found["methods"]) == (name, wins, methods)
    assert re.fullmatch(words, found["words"])
    assert summary["blessed"]  # they hold nothing back
    told = wins or (wins is None and not methods[0]["not_applicable"])
    assert (found["words"] in str(summary["warnings"])) == told
