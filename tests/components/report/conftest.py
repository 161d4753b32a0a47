"""Made-up but lifelike runs: taxi released, digits kept its champion, a regression, a failure."""

from __future__ import annotations

import itertools
import math
import pathlib
import random
from typing import Any

import pytest

from components.gates import CheckResult, GateResult, Severity, keep_evidence
from components.report.facts import ArtifactFacts, ColumnFacts, ColumnStatistics, ComponentFacts, DatasetFacts, RunFacts

_NODES = (
    "ColumnarExampleGen",
    "StatisticsGen",
    "ExampleValidator",
    "DataQuality",
    "Transform",
    "Trainer",
    "ChampionResolver",
    "Evaluator",
    "InfraValidator",
    "Pusher",
)
_SECONDS = (0.8, 1.9, 0.3, 2.4, 6.1, 14.2, 0.2, 3.3, 7.0, 0.4)


def workload(name: str, task: str, **evaluation: Any) -> dict[str, Any]:
    description = {
        "taxi": "Will the passenger of a Chicago taxi trip tip more than a fifth of the fare?",
        "digits": "Which digit is on an 8 × 8 image?",
        "bikes": "How many bicycles are rented in an hour?",
    }[name]
    return {"name": name, "task": task, "owner": "ml-platform", "description": description, "evaluation": evaluation}


def gate(name: str, total: int, *failed: CheckResult) -> GateResult:
    columns = ("fare", "trip_miles", "payment_type", "pickup_latitude", "trip_seconds", "company")
    passed = [
        CheckResult(f"expect_column_values_to_not_be_null({columns[i % 6]})", True, message="0 of 12,003 rows are null")
        for i in range(total - len(failed))
    ]
    return GateResult(name, (*passed, *failed))


def dataset() -> DatasetFacts:
    rng = random.Random(7)

    def normal(low: float, high: float, centre: float, width: float, missing: float = 0.0) -> ColumnStatistics:
        edges = [low + (high - low) * i / 10 for i in range(11)]
        shape = [math.exp(-(((a + b) / 2 - centre) ** 2) / (2 * width**2)) for a, b in itertools.pairwise(edges)]
        buckets = [
            (a, b, round(4000 * s * rng.uniform(0.85, 1.15))) for a, b, s in zip(edges, edges[1:], shape, strict=False)
        ]
        return ColumnStatistics(missing, low, centre, high, histogram=tuple(buckets))

    def words(**top: int) -> ColumnStatistics:
        return ColumnStatistics(0.0, unique=len(top), top_values=tuple(top.items()))

    columns = (
        ColumnFacts("fare", "float", {"train": normal(0, 90, 11.8, 14), "eval": normal(0, 84, 12.6, 14)}),
        ColumnFacts("trip_miles", "float", {"train": normal(0, 41, 2.9, 6), "eval": normal(0, 38, 3.1, 6)}),
        ColumnFacts("trip_start_hour", "int", {"train": normal(0, 23, 14, 5), "eval": normal(0, 23, 16, 5)}),
        ColumnFacts(
            "pickup_latitude",
            "float",
            {"train": normal(41.6, 42.1, 41.9, 0.05, 0.0006), "eval": normal(41.7, 42.1, 41.9, 0.05)},
        ),
        ColumnFacts(
            "dropoff_census_tract",
            "int",
            {
                "train": normal(1.7e10, 1.71e10, 1.703e10, 3e7, 0.284),
                "eval": normal(1.7e10, 1.71e10, 1.703e10, 3e7, 0.29),
            },
        ),
        ColumnFacts(
            "payment_type",
            "text",
            {
                "train": words(Cash=6900, Credit=4800, Dispute=40, Unknown=30),
                "eval": words(Cash=1600, Credit=1350, Dispute=12),
            },
        ),
        ColumnFacts(
            "company",
            "text",
            {
                "train": words(
                    **{
                        "Taxi Affiliation Services": 3600,
                        "Blue Ribbon": 2100,
                        "": 1800,
                        "Choice Taxi": 900,
                        "Dispatch": 800,
                    }
                ),
                "eval": words(**{"Taxi Affiliation Services": 1000, "Blue Ribbon": 400, "": 700}),
            },
        ),
    )
    return DatasetFacts({"train": 12003, "eval": 2997}, columns)


def components(stop_at: str | None = None) -> tuple[ComponentFacts, ...]:
    rows = {
        "ColumnarExampleGen": (15000, 15000),
        "Transform": (15000, 15000),
        "Trainer": (12003, None),
        "Evaluator": (2997, 2997),
    }
    done = []
    for node, seconds in zip(_NODES, _SECONDS, strict=True):
        rows_in, rows_out = rows.get(node, (None, None))
        status = "failed" if node == stop_at else "succeeded"
        done.append(ComponentFacts(node, status, seconds, node == "StatisticsGen", rows_in, rows_out))
        if node == stop_at:
            break
    return tuple(done)


def artifacts() -> dict[str, ArtifactFacts]:
    root = "/home/ada/trainyard/.trainyard/pipelines/taxi"
    return {
        "examples": ArtifactFacts(f"{root}/ColumnarExampleGen/examples/41", "Examples", {"span": 2, "rows_out": 15000}),
        "model": ArtifactFacts(f"{root}/Trainer/model/46", "Model", {"seconds": 14.2}),
        "evaluation": ArtifactFacts(f"{root}/Evaluator/evaluation/48", "ModelEvaluation", {}),
        "pushed_model": ArtifactFacts(f"{root}/Pusher/pushed_model/50", "PushedModel", {"pushed": 1}),
    }


def training(*measures: str, epochs: int = 14) -> dict[str, Any]:
    rng = random.Random(3)
    history: dict[str, list[float]] = {}
    for measure in measures:
        falling = measure in ("loss", "rmse")
        for prefix, floor, noise in (("", 0.30, 0.002), ("val_", 0.335, 0.006)):
            fall = [floor + 0.4 * math.exp(-e / 3) + rng.uniform(-noise, noise) for e in range(epochs)]
            rise = [0.0012 * max(0, e - 9) ** 2 if prefix else 0.0 for e in range(epochs)]
            values = [f + r for f, r in zip(fall, rise, strict=True)]
            history[prefix + measure] = values if falling else [1.2 - v for v in values]
    return {
        "epochs": list(range(1, epochs + 1)),
        "history": history,
        "best_epoch": 10,
        "seconds": 13.1,
        "parameters": 12417,
        "hyperparameters": {"learning_rate": 0.001, "hidden": 64},
    }


def roc(power: float) -> dict[str, list[float]]:
    fpr = [i / 100 for i in range(101)]
    return {"fpr": fpr, "tpr": [f ** (1 / power) for f in fpr], "thresholds": [1 - f for f in fpr]}


def precision_recall(power: float) -> dict[str, Any]:
    recall = [i / 100 for i in range(1, 101)]
    return {
        "recall": recall,
        "precision": [1 - 0.765 * r**power for r in recall],
        "thresholds": [1 - r for r in recall],
        "positive_share": 0.235,
        "positives": 705,
    }


def judged(metrics: dict[str, Any], thresholds: list[dict[str, Any]]) -> dict[str, Any]:
    """Metrics with what the Evaluator says of some bounds."""
    bars = []
    for one in thresholds:
        bar = {"min": None, "max": None, "slice": None, "value": None, **one}
        found = [(None, 1e9, metrics["overall"])]
        if bar["slice"]:
            found = [(s["value"], s["rows"], s["metrics"]) for s in metrics["slices"] if s["column"] == bar["slice"]]
        for value, rows, of in found:
            if rows >= one.get("min_rows", 100):
                kept = (bar["min"] or -1e9) <= of[one["metric"]] <= (bar["max"] or 1e9)
                bars.append({**bar, "value": value, "verdict": "passed" if kept else "failed"})
    sure = {"auc": {"low": 0.9, "high": 0.92, "words": "95 % at least 0.9", "gated": True}}
    return {**metrics, "bars": bars, "bounds": sure if "auc" in metrics["overall"] else {}, "trivial": {"auc": 0.5}}


def binary() -> RunFacts:
    def slices(column: str, **values: tuple[float, int]) -> list[dict[str, Any]]:
        return [
            {
                "column": column,
                "value": v,
                "rows": n,
                "metrics": {"auc": a, "auc_pr": a - 0.2, "accuracy": a - 0.1, "precision": a - 0.14, "recall": a - 0.3},
            }
            for v, (a, n) in values.items()
        ]

    decision = {
        "threshold": 0.3125,
        "rule": "best_f1",
        "positives": 21,
        "precision": 0.71,
        "recall": 0.64,
        "caution": "chosen by 21 positive rows of eval, which is few",
    }
    metrics = {
        "task": "binary",
        "label": "big_tip",
        "classes": ["0", "1"],
        "rows": 2997,
        "span": 2,
        "overall": {
            "auc": 0.9127,
            "auc_pr": 0.7012,
            "accuracy": 0.8434,
            "precision": 0.7121,
            "recall": 0.5812,
            "f1": 0.64,
            "log_loss": 0.3342,
            "calibration": 1.012,
        },
        "slices": slices("payment_type", Cash=(0.81, 1602), Credit=(0.934, 1350), Dispute=(0.71, 12))
        + slices("trip_start_hour", **{str(h): (0.9 + 0.03 * math.sin(h), 90 + 8 * h) for h in range(0, 24, 2)}),
        "confusion_matrix": {"labels": ["0", "1"], "counts": [[2114, 178], [295, 410]]},
        "threshold": 0.3125,
        "roc": roc(4.2),
        "precision_recall": precision_recall(3.0),
        "calibration": {
            "mean_predicted": [0.03, 0.12, 0.24, 0.36, 0.45, 0.57, 0.66, 0.74, 0.86, 0.94],
            "fraction_positive": [0.02, 0.13, 0.22, 0.39, 0.47, 0.55, 0.69, 0.71, 0.84, 0.96],
            "count": [1500, 420, 260, 180, 150, 120, 100, 90, 90, 87],
        },
        "residuals": None,
        "champion": {
            "version": 3,
            "overall": {"auc": 0.8996, "auc_pr": 0.68, "accuracy": 0.836},
            "threshold": 0.5,
            "roc": roc(3.6),
            "precision_recall": precision_recall(2.0),
            "metric": "auc",
            "challenger_value": 0.9127,
            "champion_value": 0.8996,
            "difference": 0.0131,
            "ci_low": 0.0042,
            "ci_high": 0.022,
            "max_loss": 0.005,
        },
        "blessed": True,
        "reasons": [],
    }
    bars = [{"metric": "auc", "min": 0.85}, {"metric": "auc", "min": 0.75, "slice": "payment_type", "min_rows": 100}]
    warning = CheckResult(
        "expect_column_mean_to_be_between(fare)",
        False,
        Severity.WARNING,
        "the mean fare is 11.8, 12.0 to 14.0 is usual; check whether the tariff changed",
        {"observed_value": 11.8},
    )
    spans = [
        {"span": 1, "digest": "sha256:" + "3f9a" * 16, "rows": 7500},
        {"span": 2, "digest": "sha256:" + "c07e" * 16, "rows": 7500},
    ]
    release = {
        "version": 4,
        "uri": "/home/ada/trainyard/.trainyard/models/taxi/4",
        "digest": "sha256:" + "a1b2" * 16,
        "spans": spans,
        "code_revision": "9f1c2d7e+dirty",
        "parent": 3,
    }
    return RunFacts(
        workload("taxi", "binary", thresholds=bars),
        "2026-11-21T08-15-02.118",
        "2026-11-21T08:16:12+00:00",
        components=components(),
        artifacts=artifacts(),
        dataset=dataset(),
        metrics=judged(metrics, bars),
        gates={
            "DataQuality": gate("DataQuality", 24, warning),
            "DriftDetector": gate("DriftDetector", 7),
            "ExampleValidator": gate("ExampleValidator", 36),
            "Evaluator": GateResult(
                "Evaluator",
                (
                    CheckResult("auc", True, message="0.9127, at least 0.85 is needed"),
                    CheckResult("champion", True, message="0.0131 above version 3; a loss of 0.005 is allowed"),
                ),
            ),
            "InfraValidator": GateResult(
                "InfraValidator",
                (
                    CheckResult("load", True, message="loaded in 3.1 s, 612 MiB"),
                    CheckResult("replay", True, message="16 requests answered, median 2.4 ms"),
                ),
            ),
        },
        training={**training("loss", "auc"), "class_weights": {"0": 0.65, "1": 2.13}, "decision": decision},
        release=release,
        champion={"version": 3},
        infra_blessed=True,
        data_docs="/home/ada/trainyard/.trainyard/pipelines/taxi/DataQuality/report/44/data_docs/index.html",
    )


def multiclass() -> RunFacts:
    rng = random.Random(5)
    labels = [str(d) for d in range(10)]
    counts = [[(36 if i == j else (rng.choice([0, 0, 0, 0, 1, 2]))) for j in range(10)] for i in range(10)]
    counts[8][1], counts[3][5] = 6, 4
    reason = (
        "Accuracy 0.9417 is 0.0180 below champion version 2 (95 % interval −0.0310 to −0.0050); "
        "a loss of 0.002 is allowed"
    )
    metrics = {
        "task": "multiclass",
        "label": "digit",
        "classes": labels,
        "rows": 397,
        "span": 1,
        "overall": {"accuracy": 0.9417, "macro_f1": 0.9402, "top_3_accuracy": 0.9932, "log_loss": 0.201},
        "slices": [],
        "confusion_matrix": {"labels": labels, "counts": counts},
        "roc": None,
        "calibration": None,
        "residuals": None,
        "champion": {
            "version": 2,
            "overall": {"accuracy": 0.9597},
            "roc": None,
            "metric": "accuracy",
            "challenger_value": 0.9417,
            "champion_value": 0.9597,
            "difference": -0.018,
            "ci_low": -0.031,
            "ci_high": -0.005,
            "max_loss": 0.002,
        },
        "blessed": False,
        "reasons": [reason],
    }
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
    picture = {"media_type": "image/png", "base64": dot, "width": 112, "height": 112, "title": ""}
    errors = [
        {"pictures": [picture, {**picture, "title": "saliency"}], "lines": ["5 (0.98)", "is 3"], "mark": "bad"},
        {"pictures": [], "lines": ["1 (0.91)", "is 8", "pen: <b>blunt</b>"], "mark": "bad"},
    ]
    said = [["so ", 0.0], ["<good>", 0.8], [" but", -0.3]]
    errors.append({"pictures": [], "lines": ["0 (0.90)", said], "mark": "bad"})
    shown = {"title": "Most confident errors", "caption": "Where it is wrong.", "tiles": errors, "left_out": 2}
    drawn = {"title": "Drawn while it learnt", "caption": "", "left_out": 0}
    drawn["tiles"] = [{"pictures": [picture], "lines": ["After epoch 1"], "mark": ""}]
    return RunFacts(
        workload("digits", "multiclass", thresholds=[{"metric": "accuracy", "min": 0.97}]),
        "2026-11-21T09-01-44.002",
        "2026-11-21T09:03:00+00:00",
        components=components(),
        artifacts=artifacts(),
        gallery={"galleries": [shown, {**shown, "tiles": []}]},
        sketches={"galleries": [drawn]},
        metrics=judged(metrics, [{"metric": "accuracy", "min": 0.97}]),
        gates={
            "DataQuality": gate("DataQuality", 6),
            "DriftDetector": gate("DriftDetector", 7),
            "ExampleValidator": gate("ExampleValidator", 2),
            "Evaluator": GateResult("Evaluator", (CheckResult("champion", False, message=reason),)),
        },
        training=training("loss", "accuracy"),
        infra_blessed=True,
    )


def regression() -> RunFacts:
    edges = [-60 + 6 * i for i in range(21)]
    counts = [round(900 * math.exp(-(((a + 3) / 16) ** 2))) for a in edges[:-1]]
    metrics = {
        "task": "regression",
        "label": "rentals",
        "classes": [],
        "rows": 3476,
        "span": 7,
        "overall": {"rmse": 38.41, "mae": 24.9, "mape": 0.31, "r2": 0.9542, "bias": -0.82},
        "slices": [
            {"column": "season", "value": s, "rows": 860, "metrics": {"rmse": v, "mae": v * 0.6}}
            for s, v in (("winter", 24.1), ("spring", 37.5), ("summer", 47.9), ("autumn", 40.2))
        ],
        "confusion_matrix": None,
        "roc": None,
        "calibration": None,
        "residuals": {"edges": edges, "counts": counts},
        "champion": None,
        "blessed": True,
        "reasons": [],
    }
    return RunFacts(
        workload(
            "bikes",
            "regression",
            thresholds=[{"metric": "rmse", "max": 45}, {"metric": "rmse", "max": 45, "slice": "season"}],
        ),
        "2026-11-21T10-00-00.500",
        "2026-11-21T10:01:10+00:00",
        components=components(),
        artifacts=artifacts(),
        metrics=judged(metrics, [{"metric": "rmse", "max": 45}, {"metric": "rmse", "max": 45, "slice": "season"}]),
        gates={"DataQuality": gate("DataQuality", 12), "ExampleValidator": gate("ExampleValidator", 13)},
        training=training("loss", "rmse", epochs=40),
        release={"version": 1, "uri": "s3://models/bikes/1", "spans": []},
        infra_blessed=True,
    )


def failing_gate() -> GateResult:
    rows = [
        {"row": 17, "trip_id": "8a1c", "fare": -4.25, "payment_type": "Cash"},
        {"row": 802, "trip_id": "90ff", "fare": -1.0, "payment_type": "Cash"},
    ]
    return gate(
        "DataQuality",
        24,
        CheckResult(
            "expect_column_values_to_be_between(fare)",
            False,
            Severity.CRITICAL,
            "2 of 15,000 fares lie below 0 (least: −4.25); none may. Mend rows 17 and 802 at their source.",
            {"unexpected_count": 2, "unexpected_percent": 0.0133, "sample": rows},
        ),
        CheckResult(
            "expect_column_values_to_be_in_set(payment_type)",
            False,
            Severity.CRITICAL,
            "31 of 15,000 values are not in the set of 7.",
            {"unexpected_count": 31, "sample": ["Crypto", "crypto", None]},
        ),
        CheckResult(
            "expect_column_mean_to_be_between(fare)",
            False,
            Severity.WARNING,
            "the mean fare is 9.1, 12.0 to 14.0 is usual",
            {"observed_value": 9.1},
        ),
    )


def failure_arguments(folder: pathlib.Path) -> dict[str, Any]:
    keep_evidence(failing_gate(), folder / "DataQuality")
    (folder / "DataQuality" / "data_docs").mkdir()
    (folder / "DataQuality" / "data_docs" / "index.html").write_text("<p>docs</p>")
    done = [
        {
            "id": c.id,
            "status": c.status,
            "seconds": c.seconds,
            "cached": c.cached,
            "rows_in": c.rows_in,
            "rows_out": c.rows_out,
        }
        for c in components(stop_at="DataQuality")
    ]
    return {
        "workload": workload("taxi", "binary"),
        "run_id": "2026-11-21T11-00-00.000",
        "components": done,
        "error": failing_gate().summary(),
        "evidence": folder,
    }


@pytest.fixture
def runs() -> dict[str, RunFacts]:
    return {"binary": binary(), "multiclass": multiclass(), "regression": regression()}


@pytest.fixture
def failure(tmp_path: pathlib.Path) -> dict[str, Any]:
    return failure_arguments(tmp_path / "_gates")
