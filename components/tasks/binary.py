"""One of two classes, by the probability of the positive one."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from components.tasks._classes import EPSILON, ClassTask
from components.tasks._drafts import RARE_MARGIN, Draft, LabelColumn, area_bar, at_least, choose_positive, draft_classes
from components.tasks._lazily import confidence, np
from components.tasks._scores import ScoreCounts, area, area_of_precision
from components.tasks._sums import MergeableSums, UnitTerms, Values, ratio
from components.tasks._views import View
from spec.errors import InputError
from spec.metrics import ACCURACY, AUC, AUC_PR, CALIBRATION, F1, LOG_LOSS, PRECISION, RECALL
from spec.tasks import LabelKind

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.gates import CheckResult
    from components.tasks._schema import ModelSchema

# As TFMA and Keras have them: 10,000 thresholds, the outermost two just outside [0, 1].
_THRESHOLDS = 10_000
_BUCKETS = 10_000
_CURVE_POINTS = 200
_CALIBRATION_BUCKETS = 10
_SHOWN = 5
_BEST_F1 = """
  # A row is called positive above what gives the best F1 on eval. Or a number, {precision: 0.9}, {recall: 0.9}.
  decision_threshold: best_f1"""


class Binary(ClassTask):
    """Labels are 0 and 1, predictions the probability of 1, [N]; a row is called positive above the threshold."""

    name = "binary"
    metrics = (AUC, AUC_PR, ACCURACY, PRECISION, RECALL, F1, LOG_LOSS, CALIBRATION)
    epoch_metrics = (AUC, ACCURACY)
    label_kind = LabelKind.TWO_CLASSES
    takes_teacher = True
    explains = True
    takes_threshold = True
    calls_one_class = True
    output = "probability"
    views = (
        View("roc", "ROC curve"),
        View("precision_recall", "Precision and recall"),
        View("calibration", "Calibration"),
        *ClassTask.views,
    )
    widths = {"score": 2 * (_THRESHOLDS + 1)}

    @classmethod
    def ordered_classes(cls, domain: Sequence[str], label: str, positive: str = "") -> list[str]:
        if len(domain) != 2:
            raise InputError(
                f"label {label!r}: task binary needs a domain of two classes. Received {len(domain)}: {domain[:5]}. "
                "Mend the domain in schema.pbtxt, or set task: multiclass."
            )
        positive = positive or domain[1]
        if positive not in domain:
            raise InputError(f"data.label.positive_class: must be one of {domain}. Received: {positive!r}.")
        return [one for one in domain if one != positive] + [positive]

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return (1,)

    def head(self, schema: ModelSchema, x: Any) -> Any:
        import keras

        # float32 whatever the policy: half precision is for the layers before, not for probabilities.
        return keras.layers.Activation("sigmoid", dtype="float32", name="output")(self.answers_of(schema, x))

    def loss(self, schema: ModelSchema) -> Any:
        return "binary_crossentropy"

    def curved_loss(self, answers: Any) -> Any:
        from keras import ops

        return ops.softplus(answers[..., 0])

    def training_metrics(self) -> list[Any]:
        import keras

        return ["accuracy", keras.metrics.AUC(name="auc")]

    def scores(self, values: Any) -> Any:
        if isinstance(values, np.ndarray):
            return np.stack([1 - values, values], axis=1)
        import tensorflow as tf

        return tf.concat([1 - values, values], axis=1)

    def called(self, output: Any) -> Any:
        import tensorflow as tf

        return tf.cast(output[:, 0] > self.threshold, tf.int32)

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        return np.isfinite(predictions) & (predictions >= -EPSILON) & (predictions <= 1 + EPSILON)

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        p = predictions.astype(np.float64)
        y = truths.astype(np.float64)
        called = (p > self.threshold).astype(np.float64)
        clipped = np.clip(p, EPSILON, 1 - EPSILON)
        terms = {
            "rows": np.ones(len(p)),
            "labels": y,
            "predictions": p,
            "called": called,
            "true_positives": called * y,
            "log_loss": (loss := -np.where(truths == 1, np.log(clipped), np.log1p(-clipped))),
            # How sure the figures are (`bounds_of`).
            "squared_log_loss": loss**2,
            "squared_predictions": p**2,
            "predictions_of_positives": p * y,
        }
        # TFMA first counts predictions in 10,000 equal buckets and takes each bucket for its lower edge. So do we, to the
        # last digit: on a thousand rows that moves the area by 1e-5 against Keras' exact comparison with the thresholds.
        bucket = np.clip(p * _BUCKETS + 1, 0, _BUCKETS + 1).astype(np.int64)
        return UnitTerms(terms, {"score": truths.astype(np.int64) * (_THRESHOLDS + 1) + _thresholds_below()[bucket]})

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        if metric in ("auc", "auc_pr"):
            counts = self.score_counts(sums, slice_index)
            return area(counts) if metric == "auc" else area_of_precision(counts)
        t = sums.of(slice_index)
        rows, positives, called, hits = t["rows"], t["labels"], t["called"], t["true_positives"]
        wrong = positives + called - 2 * hits
        return {
            "accuracy": ratio(rows - wrong, rows),
            "precision": ratio(hits, called),
            "recall": ratio(hits, positives),
            "f1": ratio(2 * hits, positives + called),
            "log_loss": ratio(t["log_loss"], rows),
            "calibration": ratio(t["predictions"], positives),
        }[metric]

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        t = sums.of(slice_index)
        rows, positives, called, hits = t["rows"], t["labels"], t["called"], t["true_positives"]
        wrong = positives + called - 2 * hits
        if metric == "auc":
            return confidence.area_bounds(value, positives, rows - positives, level)
        if metric == "f1":
            return confidence.f1_bounds(hits, wrong, level)
        if metric == "log_loss":
            return confidence.mean_loss(t["log_loss"], t["squared_log_loss"], rows, level)
        if metric == "calibration":
            return _calibration_bounds(t, level)
        shares = {
            "auc_pr": (value * positives, positives),
            "accuracy": (rows - wrong, rows),
            "precision": (hits, called),
            "recall": (hits, positives),
        }
        return confidence.proportion_bounds(*shares[metric], level)

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        share = ratio(float(sums.terms["labels"][0]), float(sums.terms["rows"][0]))
        if not share or share == 1:
            return super().trivial(sums, truths)
        shares = np.array([share, 1 - share])
        return {
            "auc": 0.5,
            "auc_pr": share,
            "accuracy": max(share, 1 - share),
            "precision": share,
            "recall": 1.0,
            "f1": 2 * share / (1 + share),
            "log_loss": float(-(shares * np.log(shares)).sum()),
            "calibration": 1.0,
        }

    def data_checks(self, sums: MergeableSums, query: str) -> list[CheckResult]:
        from components.gates import CheckResult, Severity

        rows, positives = (int(sums.terms[name][0]) for name in ("rows", "labels"))
        if not rows or 0 < positives < rows:
            return []
        only = self.classes[1 if positives else 0]
        message = (
            f"all {rows:,} rows of the test split are of class {only!r}: auc is undefined; give more data or resplit"
        )
        return [CheckResult("the test split has both classes", False, Severity.WARNING, message)]

    def confusion(self, sums: MergeableSums, slice_index: int = 0) -> np.ndarray:
        t = sums.of(slice_index)
        rows, positives, called, hits = t["rows"], t["labels"], t["called"], t["true_positives"]
        return np.array([[rows - positives - called + hits, called - hits], [positives - hits, hits]])

    def score_counts(self, sums: MergeableSums, slice_index: int = 0) -> ScoreCounts:
        histogram = sums.cells["score"][slice_index].reshape(2, -1)
        above = histogram[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        return ScoreCounts(_thresholds(), above[0], above[1], histogram)

    def charts(self, sums: MergeableSums, sample: Sequence[np.ndarray], rows: int) -> dict[str, Any]:
        counts = self.score_counts(sums)
        charts = {"calibration": _calibration(counts)}
        if counts.false_positives[0] and counts.true_positives[0]:
            charts |= {"roc": _roc(counts), "precision_recall": _precision_recall(counts)}
        return charts

    @classmethod
    def guess(cls, label: LabelColumn) -> str:
        return "the label has two values" if label.distinct == 2 else ""

    @classmethod
    def draft(cls, label: LabelColumn, positive: str | None = None) -> Draft:
        if label.distinct != 2:
            shown = ", ".join(repr(v) for v in list(label.counts)[:_SHOWN])
            raise InputError(
                f"--task binary: the label {label.name!r} has {label.distinct:,} values ({shown}). Use multiclass."
            )
        chosen = choose_positive(label, positive)
        majority, share = label.majority
        bars = [area_bar(label)]
        if label.rare == chosen.name:
            rare = 1 - share  # of the rows, which is the auc_pr of guessing
            bars.append(f"{at_least('auc_pr', rare + RARE_MARGIN)} # guessing has {rare:.3g}")
        trivial = f"0.5 is guessing; always saying {majority} has an accuracy of {share:.3f}."
        drafted = draft_classes(cls.name, label, trivial, tuple(bars))
        return dataclasses.replace(drafted, positive=chosen, training=drafted.training and drafted.training + _BEST_F1)


@functools.cache
def _thresholds() -> np.ndarray:
    return np.concatenate([[-EPSILON], np.arange(1, _THRESHOLDS - 1) / (_THRESHOLDS - 1), [1.0 + EPSILON]])


@functools.cache
def _thresholds_below() -> np.ndarray:
    """Of each bucket of scores: at how many thresholds it counts as positive."""
    edges = np.concatenate([[-np.inf], np.arange(_BUCKETS) / _BUCKETS, [np.inf]])
    return np.clip(np.searchsorted(_thresholds() + EPSILON, edges, side="right"), 1, _THRESHOLDS - 1)


def _calibration_bounds(t: dict[str, float], level: float) -> Bounds | None:
    n = t["rows"]
    p, y, pp, py = (t[k] / n for k in ("predictions", "labels", "squared_predictions", "predictions_of_positives"))
    return confidence.positive(p / y, confidence.relative_error(p, y, pp, py, y, n), n, level)


def _roc(counts: ScoreCounts) -> dict[str, list[float]]:
    """Points of the ROC curve."""
    fpr, tpr = counts.false_positives / counts.false_positives[0], counts.true_positives / counts.true_positives[0]
    chosen = _spread(fpr, tpr)[::-1]
    thresholds = np.clip(counts.thresholds[chosen], 0, 1)
    return {"fpr": _rounded(fpr[chosen]), "tpr": _rounded(tpr[chosen]), "thresholds": _rounded(thresholds)}


def _precision_recall(counts: ScoreCounts) -> dict[str, Any]:
    """Points of the precision-recall curve by rising recall, and what calling every row positive would come to."""
    positives = counts.true_positives
    called = positives + counts.false_positives
    some = called > 0
    recall, precision = positives[some] / positives[0], positives[some] / called[some]
    chosen = _spread(recall, precision)[::-1]
    return {
        "recall": _rounded(recall[chosen]),
        "precision": _rounded(precision[chosen]),
        "thresholds": _rounded(np.clip(counts.thresholds[some][chosen], 0, 1)),
        "positive_share": float(positives[0] / called[0]),
        "positives": int(positives[0]),
    }


def _spread(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Places of points that lie evenly along the length of a curve, so that a steep part keeps its shape."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    return np.unique(np.searchsorted(length, np.linspace(0, length[-1], _CURVE_POINTS)))


def _calibration(counts: ScoreCounts) -> dict[str, list[float]]:
    """Ten buckets of predicted probability; those without rows are left out."""
    edges = np.clip(counts.thresholds, 0, 1)
    middle = np.concatenate([[0.0], (edges[:-1] + edges[1:]) / 2, [1.0]])
    bucket = np.minimum((middle * _CALIBRATION_BUCKETS).astype(int), _CALIBRATION_BUCKETS - 1)

    def of_bucket(weights: np.ndarray) -> np.ndarray:
        return np.bincount(bucket, weights=weights, minlength=_CALIBRATION_BUCKETS)

    rows = counts.histogram.sum(axis=0)
    count, positive, predicted = of_bucket(rows), of_bucket(counts.histogram[1]), of_bucket(rows * middle)
    some = count > 0
    return {
        "mean_predicted": _rounded(predicted[some] / count[some]),
        "fraction_positive": _rounded(positive[some] / count[some]),
        "count": count[some].astype(int).tolist(),
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [float(value) for value in np.round(values, 6)]
