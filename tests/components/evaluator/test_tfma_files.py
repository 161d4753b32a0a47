from __future__ import annotations

import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.evaluator.config import EvaluationConfig
from components.evaluator.evaluation import evaluate
from components.evaluator.executor import Executor
from components.evaluator.findings import Findings
from components.evaluator.judgement import compare, judge
from components.evaluator.tfma_files import write_tfma_files
from components.served_model import ServedModel, load_answerer
from components.tasks import query_keys
from components.tasks.multiclass import Multiclass
from components.tasks.ranking import Ranking
from spec.workload import Threshold

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
) -> Callable[..., tuple[Findings, pa.Table, pathlib.Path]]:
    """Evaluates a tiny model and writes TFMA's files."""

    def go(task: str, champion: bool = False, **config: Any) -> tuple[Findings, pa.Table, pathlib.Path]:
        rows = make_rows(2000, task)
        query = "search" if task == "ranking" else None
        settings = EvaluationConfig(task=task, label="target", query=query, **config)
        folder = model_folder(task) / "Format-Serving"
        other = model_folder(task, weight=0.2) / "Format-Serving" if champion else None
        outcome = evaluate(examples_artifact(rows).uri, folder, other, settings, Executor()._combine)
        comparison = compare(outcome, settings)
        write_tfma_files(tmp_path, outcome, judge(outcome, settings, comparison, int(champion)), comparison, settings)
        return outcome, rows, tmp_path

    return go


def numbers(sliced: Any) -> dict[str, float]:
    return {name: value["doubleValue"] for name, value in sliced[""][""].items() if "doubleValue" in value}


def analysed(frame: Any, config: str) -> dict[Any, Any]:
    """TFMA's own analysis of a frame with label and prediction, by slice."""
    import tensorflow_model_analysis as tfma
    from google.protobuf import text_format
    from tensorflow_model_analysis.proto import config_pb2

    model = 'model_specs { label_key: "label" prediction_key: "prediction" } '
    parsed = text_format.Parse(model + config, config_pb2.EvalConfig())
    return dict(tfma.analyze_raw_data(frame, parsed).slicing_metrics)


def test_tfma_loads_what_we_write(evaluated: Callable[..., Any]) -> None:
    import tensorflow_model_analysis as tfma

    bounds = (
        Threshold(metric="auc", min=0.99),
        Threshold(metric="accuracy", min=0.95, slice="company"),
        Threshold(metric="f1", max=1),
    )
    outcome, _, folder = evaluated("binary", champion=True, slices=("company", "hour"), thresholds=bounds)
    result = tfma.load_eval_result(str(folder))
    slices = dict(result.slicing_metrics)
    assert len(slices) == 1 + 3 + 24, "overall, companies, hours; rows without a company are none of TFMA's slices"
    assert {(("company", "cash"),), (("hour", 7),), ()} <= slices.keys()
    ours = outcome.task.values(outcome.challenger.sums)
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


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression", "ranking"])
def test_tfma_loads_every_task(evaluated: Callable[..., Any], task: str) -> None:
    import tensorflow_model_analysis as tfma

    outcome, _, folder = evaluated(task, champion=True, slices=("company",))
    result = tfma.load_eval_result(str(folder))
    ours = outcome.task.values(outcome.challenger.sums)
    assert ours.items() <= numbers(dict(result.slicing_metrics)[()]).items()
    assert len(result.slicing_metrics) == 4 and result.config.metrics_specs[0].query_key == (
        "search" if task == "ranking" else ""
    )
    assert tfma.load_validation_result(str(folder)).validation_ok
    (plots,) = tfma.load_plots(str(folder / "plots-00000-of-00001.tfrecord"))
    assert bool(plots.plot_keys_and_values) == (task in ("binary", "multiclass"))
    if task == "multiclass":
        matrix = plots.plot_keys_and_values[0].value.multi_class_confusion_matrix_at_thresholds.matrices[0]
        assert sum(entry.num_weighted_examples for entry in matrix.entries) == 2000


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_values_are_tfma_s(evaluated: Callable[..., Any], model_folder: Callable[..., pathlib.Path], task: str) -> None:
    """TFMA computes the same from the same predictions."""
    import pandas as pd

    outcome, rows, _ = evaluated(task, slices=("company",))
    folder = model_folder(task) / "Format-Serving"
    model = ServedModel.read(folder)
    (batch,) = rows.combine_chunks().to_batches()
    frame = pd.DataFrame(
        {
            "company": rows["company"].to_pylist(),
            "label": rows["target"].to_numpy().astype(np.float64),
            "prediction": load_answerer(folder, model)(model.inputs(batch))[model.output].astype(np.float64),
        }
    )
    wanted = TFMA[task]
    metrics = "".join(f'metrics {{ class_name: "{kind}" }}' for kind, _ in wanted.values())
    theirs = analysed(frame.dropna(), f'metrics_specs {{ {metrics} }} slicing_specs {{ feature_keys: "company" }}')
    sliced = outcome.slices["company"]
    for value, index, _ in sliced.by_rows():
        if value == "(missing)":
            continue
        ours, found = outcome.task.values(sliced.sums, index), numbers(theirs[(("company", value),)])
        for name, (_, key) in wanted.items():
            expected = math.sqrt(found[key]) if name == "rmse" else found[key]
            assert ours[name] == pytest.approx(expected, abs=1e-6), name


@pytest.mark.slow
def test_multiclass_values_are_tfma_s_on_digits() -> None:
    import pandas as pd
    import sklearn.datasets
    import sklearn.linear_model

    pixels, digits = sklearn.datasets.load_digits(return_X_y=True)
    model = sklearn.linear_model.LogisticRegression(max_iter=20, C=1e-3).fit(pixels[:900], digits[:900])
    labels, predictions = digits[900:], model.predict_proba(pixels[900:]).astype(np.float32)
    metrics = Multiclass("0123456789")
    sums = metrics.reduce(metrics.terms(labels, predictions))
    ours = metrics.values(sums)
    frame = pd.DataFrame({"label": labels.astype(np.int64), "prediction": list(predictions)})
    theirs = analysed(
        frame,
        """
        metrics_specs {
          metrics { class_name: "SparseCategoricalAccuracy" }
          metrics { class_name: "SparseCategoricalCrossentropy" }
          metrics { class_name: "SparseTopKCategoricalAccuracy" config: '"k": 3' }
          metrics { class_name: "MultiClassConfusionMatrixAtThresholds" config: '"thresholds": [0.0]' }
        }
        metrics_specs {
          metrics { class_name: "F1Score" config: '"top_k": 1' } binarize { class_ids { values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] } }
        }
        """,
    )[()][""]
    plain = {name: value["doubleValue"] for name, value in theirs[""].items() if "doubleValue" in value}
    f1 = [theirs[f"classId:{one} topK:1"]["f1_score"]["doubleValue"] for one in range(10)]
    assert 0.9 < ours["accuracy"] < 0.99, "there are errors to count"
    assert ours == pytest.approx(
        {
            "accuracy": plain["sparse_categorical_accuracy"],
            "macro_f1": np.mean(f1),
            "top_3_accuracy": plain["sparse_top_k_categorical_accuracy"],
            "log_loss": plain["sparse_categorical_crossentropy"],
        },
        abs=1e-6,
    )
    matrices = theirs[""]["multi_class_confusion_matrix_at_thresholds"]["multiClassConfusionMatrixAtThresholds"]
    confusion = np.zeros((10, 10))
    for entry in matrices["matrices"][0]["entries"]:
        confusion[entry.get("actualClassId", 0), entry.get("predictedClassId", 0)] = entry["numWeightedExamples"]
    np.testing.assert_array_equal(metrics.confusion(sums), confusion)


def test_ranking_values_are_tfma_s() -> None:
    """NDCG overall and by a column that is constant within a query; the place of the first relevant row, query by query."""
    import pandas as pd

    random = np.random.default_rng(0)
    number = random.integers(0, 40, 600)
    labels = random.integers(0, 4, 600) * (number % 4 > 0)  # every fourth query has no relevant row
    scores = random.random(600).astype(np.float32)
    names = [f"s{one}" for one in number]
    device = np.where(number % 3 == 0, "phone", "desk")
    frame = pd.DataFrame({"search": names, "device": device, "gain": labels.astype(float), "prediction": scores})
    theirs = analysed(
        frame.assign(label=frame["gain"]),
        """
        metrics_specs {
          metrics { class_name: "NDCG" config: '"gain_key": "gain", "top_k_list": [10]' }
          metrics { class_name: "MinLabelPosition" }
          query_key: "search"
        }
        slicing_specs {} slicing_specs { feature_keys: "device" } slicing_specs { feature_keys: "search" }
        """,
    )
    metrics = Ranking()
    queries = query_keys(pa.array(names), "search")
    for value in (None, "desk", "phone"):
        kept = np.ones(600, dtype=bool) if value is None else device == value
        rows, _ = metrics.group_terms(labels[kept], scores[kept], queries[kept])
        ours = metrics.values(metrics.reduce(rows))
        found = theirs[() if value is None else (("device", value),)][""]
        assert ours["ndcg_10"] == pytest.approx(found["topK:10"]["ndcg"]["doubleValue"], abs=1e-6)
        places = [
            float(theirs[(("search", one),)][""][""]["min_label_position"]["doubleValue"])
            for one in set(frame["search"][kept])
        ]
        assert ours["mrr"] == pytest.approx(np.mean([1 / place for place in places if not np.isnan(place)]), abs=1e-6)
