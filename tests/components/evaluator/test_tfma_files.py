from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.evaluator.config import EvaluationConfig, Threshold
from components.evaluator.evaluation import Outcome, evaluate
from components.evaluator.executor import Executor
from components.evaluator.judgement import compare, judge
from components.evaluator.tfma_files import write_tfma_files
from components.served_model import ServedModel, load_predictor

# TFMA's class, and its name in a result, of our metrics.
TFMA = {
    "binary": {
        "auc": ("AUC", "auc"),
        "auc_pr": ("AUCPrecisionRecall", "auc_precision_recall"),
        "accuracy": ("BinaryAccuracy", "binary_accuracy"),
        "precision": ("Precision", "precision"),
        "recall": ("Recall", "recall"),
        "f1": ("F1Score", "f1_score"),
        "log_loss": ("BinaryCrossEntropy", "binary_crossentropy"),
        "calibration": ("Calibration", "calibration"),
    },
    "regression": {
        "mae": ("MeanAbsoluteError", "mean_absolute_error"),
        "mape": ("MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
        "rmse": ("MeanSquaredError", "mean_squared_error"),
    },
}


@pytest.fixture
def evaluated(
    model_folder: Callable[..., pathlib.Path],
    examples_artifact: Callable[..., Any],
    make_rows: Callable[..., pa.Table],
    tmp_path: pathlib.Path,
) -> Callable[..., tuple[Outcome, pa.Table, pathlib.Path]]:
    """Evaluates a tiny model and writes TFMA's files."""

    def go(task: str, champion: bool = False, **config: Any) -> tuple[Outcome, pa.Table, pathlib.Path]:
        rows = make_rows(2000, task)
        settings = EvaluationConfig(
            task, "target", {"binary": "auc", "multiclass": "accuracy"}.get(task, "rmse"), **config
        )
        folder = model_folder(task) / "Format-Serving"
        other = model_folder(task, weight=0.2) / "Format-Serving" if champion else None
        outcome = evaluate(examples_artifact(rows).uri, folder, other, settings, Executor()._combine)
        comparison = compare(outcome, settings)
        write_tfma_files(tmp_path, outcome, judge(outcome, settings, comparison, int(champion)), comparison, settings)
        return outcome, rows, tmp_path

    return go


def numbers(sliced: Any) -> dict[str, float]:
    return {name: value["doubleValue"] for name, value in sliced[""][""].items() if "doubleValue" in value}


def test_tfma_loads_what_we_write(evaluated: Callable[..., Any]) -> None:
    import tensorflow_model_analysis as tfma

    bounds = (Threshold("auc", min=0.99), Threshold("accuracy", min=0.95, slice="company"), Threshold("f1", max=1))
    outcome, _, folder = evaluated("binary", champion=True, slices=("company", "hour"), thresholds=bounds)
    result = tfma.load_eval_result(str(folder))
    slices = dict(result.slicing_metrics)
    assert len(slices) == 1 + 3 + 24, "overall, companies, hours; rows without a company are none of TFMA's slices"
    assert {(("company", "cash"),), (("hour", 7),), ()} <= slices.keys()
    ours = outcome.metrics.metrics(outcome.challenger.sums)
    assert {**ours, "example_count": 2000}.items() <= numbers(slices[()]).items()
    assert "auc_diff" in slices[()][""][""]
    assert sum(numbers(s)["example_count"] for key, s in slices.items() if key and key[0][0] == "hour") == 2000
    plots = dict(result.plots)[()][""][""]
    assert len(plots["confusionMatrixAtThresholds"]["matrices"]) > 900
    buckets = plots["calibrationHistogramBuckets"]["buckets"]
    assert sum(bucket.get("numWeightedExamples", 0) for bucket in buckets) == 2000
    validation = tfma.load_validation_result(str(folder))
    assert not validation.validation_ok
    failures = [f for one in validation.metric_validations_per_slice for f in one.failures]
    assert [f.metric_key.name for f in failures] == ["auc", "accuracy", "accuracy", "accuracy"]


def test_tfma_loads_a_blessing_and_other_tasks(evaluated: Callable[..., Any]) -> None:
    import tensorflow_model_analysis as tfma

    _, _, folder = evaluated("multiclass", slices=("company",))
    matrix = dict(tfma.load_eval_result(str(folder)).plots)[()][""][""]["multiClassConfusionMatrixAtThresholds"]
    assert sum(entry["numWeightedExamples"] for entry in matrix["matrices"][0]["entries"]) == 2000
    assert tfma.load_validation_result(str(folder)).validation_ok
    evaluated("regression")
    assert tfma.load_validation_result(str(folder)).validation_ok


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_values_are_tfma_s(evaluated: Callable[..., Any], model_folder: Callable[..., pathlib.Path], task: str) -> None:
    """TFMA computes the same from the same predictions; multiclass is compared with scikit-learn in test_metrics."""
    import pandas as pd
    import tensorflow_model_analysis as tfma
    from google.protobuf import text_format
    from tensorflow_model_analysis.proto import config_pb2

    outcome, rows, _ = evaluated(task, slices=("company",))
    folder = model_folder(task) / "Format-Serving"
    model = ServedModel.read(folder)
    (batch,) = rows.combine_chunks().to_batches()
    frame = pd.DataFrame(
        {
            "company": rows["company"].to_pylist(),
            "label": rows["target"].to_numpy().astype(np.float64),
            "prediction": load_predictor(folder, model)(model.inputs(batch)).astype(np.float64),
        }
    )
    wanted = TFMA[task]
    metrics = "".join(f'metrics {{ class_name: "{kind}" }}' for kind, _ in wanted.values())
    config = text_format.Parse(
        f'model_specs {{ label_key: "label" prediction_key: "prediction" }} metrics_specs {{ {metrics} }} '
        'slicing_specs { feature_keys: "company" }',
        config_pb2.EvalConfig(),
    )
    theirs = dict(tfma.analyze_raw_data(frame.dropna(), config).slicing_metrics)
    sliced = outcome.slices["company"]
    for value, index, _ in sliced.by_rows():
        if value == "(missing)":
            continue
        ours, found = outcome.metrics.metrics(sliced.sums, index), numbers(theirs[(("company", value),)])
        for name, (_, key) in wanted.items():
            expected = math.sqrt(found[key]) if name == "rmse" else found[key]
            assert ours[name] == pytest.approx(expected, abs=1e-6), name
