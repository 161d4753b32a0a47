"""The evaluation in TFMA's own files, for `tfma.load_eval_result`, `tfma.load_validation_result` and TFMA's viewers.

What these protos cannot say (the confidence interval of a comparison, reasons, residuals) is in metrics.json.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

# In this form, and where components.lazy_imports is installed, the protos come without the rest of TFMA.
import tensorflow_model_analysis.version as tfma_version
from google.protobuf import json_format
from tensorflow_model_analysis.proto import config_pb2, metrics_for_slice_pb2, validation_result_pb2

from components.evaluator.bars import Bar, bars
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings
from components.evaluator.judgement import Comparison
from components.evaluator.slices import MISSING
from components.gates import GateResult, Severity, Verdict
from components.tasks import ScoreCounts
from spec.workload import Threshold

_PLOT_STEP = 10  # of the 10,000 thresholds: TFMA's own plots have 1,000

SliceKey: Any = metrics_for_slice_pb2.SliceKey
_Slice = tuple[Any, dict[str, float | None], int]


def write_tfma_files(
    folder: pathlib.Path, outcome: Findings, gate: GateResult, comparison: Comparison | None, config: EvaluationConfig
) -> None:
    """Writes eval_config.json, metrics, plots and validations into an evaluation's folder."""
    run = config_pb2.EvalRun(
        eval_config=_eval_config(config), version=tfma_version.VERSION, file_format="parquet", model_locations={"": ""}
    )
    (folder / "eval_config.json").write_text(json_format.MessageToJson(run), encoding="utf-8")
    _write(folder / "metrics-00000-of-00001.tfrecord", _metrics(outcome, comparison))
    _write(folder / "plots-00000-of-00001.tfrecord", [_plots(outcome)])
    _write(folder / "validations.tfrecord", [_validation(outcome, gate, comparison, config)])


def _write(path: pathlib.Path, messages: Iterable[Any]) -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for message in messages:
            writer.write(message.SerializeToString())


def _eval_config(config: EvaluationConfig) -> config_pb2.EvalConfig:
    metrics = [config_pb2.MetricConfig(class_name=name) for name in config.task_class.metric_names()]
    specs = config_pb2.MetricsSpec(metrics=metrics, query_key=config.query or "")
    for threshold in config.thresholds:
        if threshold.slice is None:
            specs.thresholds[threshold.metric].CopyFrom(_threshold(threshold))
        else:
            bound = config_pb2.PerSliceMetricThreshold(
                slicing_specs=[config_pb2.SlicingSpec(feature_keys=[threshold.slice])], threshold=_threshold(threshold)
            )
            specs.per_slice_thresholds[threshold.metric].thresholds.append(bound)
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(signature_name="serving_default", label_key=config.label or "")],
        slicing_specs=[config_pb2.SlicingSpec(), *_slicing(config)],
        metrics_specs=[specs],
    )


def _slicing(config: EvaluationConfig) -> list[config_pb2.SlicingSpec]:
    return [config_pb2.SlicingSpec(feature_keys=[column]) for column in config.slice_columns]


def _threshold(threshold: Threshold) -> config_pb2.MetricThreshold:
    bounds = config_pb2.GenericValueThreshold()
    if threshold.min is not None:
        bounds.lower_bound.value = threshold.min
    if threshold.max is not None:
        bounds.upper_bound.value = threshold.max
    return config_pb2.MetricThreshold(value_threshold=bounds)


def _slices(outcome: Findings, column: str | None = None) -> Iterator[_Slice]:
    """Key, metrics and rows of every slice, or of one column's; TFMA has no slice of missing values."""
    for name, sliced in outcome.slices.items():
        for value, index, rows in sliced.by_rows():
            if column in (None, name) and value != MISSING and sliced.sums is not None:
                yield _slice_key(name, sliced.raw[value]), outcome.task.values(sliced.sums, index), rows


def _slice_key(column: str, value: object) -> Any:
    single = metrics_for_slice_pb2.SingleSliceKey(column=column)
    if isinstance(value, int):  # booleans too, as in tf.Example
        single.int64_value = int(value)
    elif isinstance(value, float):
        single.float_value = value
    else:
        single.bytes_value = value if isinstance(value, bytes) else str(value).encode()
    return SliceKey(single_slice_keys=[single])


def _value(number: float | None) -> metrics_for_slice_pb2.MetricValue:
    found = metrics_for_slice_pb2.MetricValue()
    found.double_value.value = math.nan if number is None else number
    return found


def _metrics(outcome: Findings, comparison: Comparison | None) -> Iterator[metrics_for_slice_pb2.MetricsForSlice]:
    assert outcome.challenger.sums is not None
    overall = (SliceKey(), outcome.task.values(outcome.challenger.sums), outcome.rows)
    for key, metrics, rows in (overall, *_slices(outcome)):
        found = metrics_for_slice_pb2.MetricsForSlice(slice_key=key)
        for name, number in {**metrics, "example_count": float(rows)}.items():
            found.metric_keys_and_values.add(key={"name": name}, value=_value(number))
        if comparison is not None and not key.single_slice_keys:
            pair = found.metric_keys_and_values.add(
                key={"name": comparison.metric, "is_diff": True}, value=_value(comparison.difference)
            )
            if comparison.interval is not None:
                pair.confidence_interval.lower_bound.CopyFrom(_value(comparison.interval.low))
                pair.confidence_interval.upper_bound.CopyFrom(_value(comparison.interval.high))
        yield found


def _plots(outcome: Findings) -> metrics_for_slice_pb2.PlotsForSlice:
    found = metrics_for_slice_pb2.PlotsForSlice(slice_key=SliceKey())
    sums = outcome.challenger.sums
    if sums is None or (counts := outcome.task.confusion(sums)) is None:
        return found
    data = found.plot_keys_and_values.add().value
    if (scores := outcome.task.score_counts(sums)) is not None:
        _confusion_at_thresholds(data, scores)
        _calibration(data, scores.histogram)
        return found
    matrix = data.multi_class_confusion_matrix_at_thresholds.matrices.add(threshold=0.0)
    for actual, predicted in zip(*np.nonzero(counts), strict=True):
        matrix.entries.add(
            actual_class_id=int(actual),
            predicted_class_id=int(predicted),
            num_weighted_examples=float(counts[actual, predicted]),
        )
    return found


def _confusion_at_thresholds(data: Any, counts: ScoreCounts) -> None:
    fp, tp = counts.false_positives, counts.true_positives
    negatives, positives = fp[0], tp[0]
    for index in (*range(0, len(fp) - 1, _PLOT_STEP), len(fp) - 1):
        called = tp[index] + fp[index]
        data.confusion_matrix_at_thresholds.matrices.add(
            threshold=counts.thresholds[index],
            true_positives=tp[index],
            false_positives=fp[index],
            true_negatives=negatives - fp[index],
            false_negatives=positives - tp[index],
            precision=tp[index] / called if called else math.nan,
            recall=tp[index] / positives if positives else math.nan,
        )


def _calibration(data: Any, histogram: np.ndarray) -> None:
    width = histogram.shape[1] - 1
    for start in range(0, width, _PLOT_STEP):
        cells = slice(start, min(start + _PLOT_STEP, width + 1))
        middles = np.clip(np.arange(width + 1)[cells] - 0.5, 0, width) / width
        counts = histogram[:, cells]
        bucket = data.calibration_histogram_buckets.buckets.add(
            lower_threshold_inclusive=start / width, upper_threshold_exclusive=(start + _PLOT_STEP) / width
        )
        bucket.num_weighted_examples.value = counts.sum()
        bucket.total_weighted_label.value = counts[1].sum()
        bucket.total_weighted_refined_prediction.value = (counts.sum(axis=0) * middles).sum()


def _validation(
    outcome: Findings, gate: GateResult, comparison: Comparison | None, config: EvaluationConfig
) -> validation_result_pb2.ValidationResult:
    assert outcome.challenger.sums is not None
    found = validation_result_pb2.ValidationResult(validation_ok=gate.passes)
    overall = found.metric_validations_per_slice.add(slice_key=SliceKey())
    for bar in (one for judged in bars(outcome, config) for one in judged if one.verdict is Verdict.FAILED):
        if bar.slice is None:
            _fail(overall, bar)
        elif bar.slice != MISSING:  # TFMA has no slice of missing values
            column = str(bar.threshold.slice)
            key = _slice_key(column, outcome.slices[column].raw[bar.slice])
            _fail(found.metric_validations_per_slice.add(slice_key=key), bar)
    if comparison is not None and comparison.loss > comparison.max_loss:
        lower = outcome.task.metric(comparison.metric).lower_is_better
        change = config_pb2.GenericChangeThreshold(direction=1 if lower else 2)
        change.absolute.value = comparison.max_loss if lower else -comparison.max_loss
        overall.failures.add(
            metric_key={"name": comparison.metric, "is_diff": True},
            metric_threshold=config_pb2.MetricThreshold(change_threshold=change),
            metric_value=_value(comparison.difference),
        )
    if not gate.passes and not any(one.failures for one in found.metric_validations_per_slice):
        overall.failures.add(message="; ".join(check.words for check in gate.objections(Severity.CRITICAL)))
    counted = [(config_pb2.SlicingSpec(), 1)]
    counted += [(spec, sum(1 for _ in _slices(outcome, spec.feature_keys[0]))) for spec in _slicing(config)]
    for spec, count in counted:
        found.validation_details.slicing_details.add(slicing_spec=spec, num_matching_slices=count)
    return found


def _fail(where: Any, bar: Bar) -> None:
    where.failures.add(
        metric_key={"name": bar.threshold.metric},
        metric_threshold=_threshold(bar.threshold),
        metric_value=_value(bar.found),
        message=bar.message,
    )
