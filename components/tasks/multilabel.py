"""Any number of several classes a row."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.tasks._classes import EPSILON, ClassesTask
from components.tasks._columns import class_indices
from components.tasks._context import Tensors
from components.tasks._drafts import Draft, LabelColumn, at_least, draft_classes
from components.tasks._judged import Conviction
from components.tasks._lazily import confidence, np, pa, pc
from components.tasks._scores import ScoreCounts, area, area_of_precision
from components.tasks._sums import MergeableSums, UnitTerms, Values, divide, ratio
from components.tasks._views import View
from spec.errors import InputError
from spec.metrics import AUC, HAMMING_LOSS, MACRO_AUC, MACRO_AUC_PR, MACRO_F1, MICRO_F1, SUBSET_ACCURACY
from spec.tasks import LabelKind

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.tasks._schema import ModelSchema
    from spec.section import Section

# Scores are counted by their log-odds: as evenly spaced probabilities, those of rare classes would all share a bucket.
_BUCKETS = 400
_MOST_ODDS = 12.0  # in log-odds, either way
_JOINED_BY = ";"
_SEPARATORS = (";", "|", ",")  # that files are likely to have


class Multilabel(ClassesTask):
    """Labels are lists of classes, [N, C] of bool, predictions a probability for each class by itself, [N, C].

    Models are compared by the mean of the classes' AUC: it needs no threshold, and a rare class counts like a frequent one.
    """

    name = "multilabel"
    metrics = (MACRO_AUC, MACRO_AUC_PR, MICRO_F1, MACRO_F1, SUBSET_ACCURACY, HAMMING_LOSS)
    epoch_metrics = (AUC,)
    label_kind = LabelKind.SEVERAL_CLASSES
    activation = "sigmoid"
    views = (View("classes", "F1 by class", key="by_class"),)

    def __init__(
        self, classes: Sequence[str] = (), threshold: float = 0.5, options: Section | Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(classes, threshold, options)
        self.widths = {"score": len(self.classes) * 2 * _BUCKETS}

    @classmethod
    def ordered_classes(cls, domain: Sequence[str], label: str, positive: str = "") -> list[str]:
        classes = super().ordered_classes(domain, label, positive)
        if joined := [one for one in domain if _JOINED_BY in one]:
            raise InputError(
                f"label {label!r}: the model joins the classes of an answer by {_JOINED_BY!r}, so no class may hold it. "
                f"Received: {joined[0]!r}. Rename it, in the data and in schema.pbtxt."
            )
        return classes

    def targets(self, values: Any) -> Any:
        """Lists of classes -> float32 [N, C] of 0 and 1; all -1 where one is none of the classes."""
        import tensorflow as tf

        if not isinstance(values, tf.SparseTensor):
            values = tf.sparse.from_dense(tf.reshape(values, [tf.shape(values)[0], -1]))
        found = super().targets(values.values)
        rows, count = values.indices[:, 0], values.dense_shape[0]
        cells = tf.stack([rows, tf.maximum(found, 0)], axis=1)
        holds = tf.scatter_nd(cells, tf.ones_like(found), tf.stack([count, len(self.classes)]))
        unknown = tf.math.unsorted_segment_sum(tf.cast(found < 0, tf.int32), rows, count) > 0
        target = tf.where(unknown[:, tf.newaxis], -1.0, tf.cast(holds > 0, tf.float32))
        return tf.ensure_shape(target, [None, len(self.classes)])

    def read_labels(self, column: pa.Array, label: str) -> np.ndarray:
        if column.null_count:
            raise InputError(
                f"label {label!r}: {column.null_count} of {len(column)} labels are missing. Remove those rows, or give an "
                "empty list where no class holds."
            )
        holds = np.zeros((len(column), len(self.classes)), bool)
        rows = pc.list_parent_indices(column).to_numpy()
        try:
            holds[rows, class_indices(pc.list_flatten(column), self.classes)] = True
        except InputError as error:
            raise InputError(f"label {label!r}: {error}") from None
        return holds

    def loss(self, schema: ModelSchema) -> Any:
        return "binary_crossentropy"

    def curved_loss(self, answers: Any) -> Any:
        from keras import ops

        return ops.mean(ops.softplus(answers), axis=-1)

    def training_metrics(self) -> list[Any]:
        import keras

        return [keras.metrics.AUC(name="auc", multi_label=True, num_labels=len(self.classes))]

    def called(self, output: Any) -> Any:
        return output > self.threshold

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """`label` has the classes that are called, joined; empty where none is."""
        import tensorflow as tf

        names = tf.tile(tf.constant(self.classes, tf.string)[tf.newaxis], [tf.shape(output)[0], 1])
        called = tf.ragged.boolean_mask(names, self.called(output))
        return {self.output: output, "label": tf.strings.reduce_join(called, axis=1, separator=_JOINED_BY)}

    def interest(self, truths: np.ndarray, answers: Tensors) -> np.ndarray:
        """How far the probability of the class in which a row is most wrong is from the truth."""
        wrong = self._wrong_by(truths, answers)
        return np.where(wrong.any(axis=1), wrong.max(axis=1), -np.inf)

    def conviction(self, truths: np.ndarray, answers: Tensors) -> Conviction | None:
        """The log-odds of what was said of the class in which a row is most wrong: that it holds, or that it does not."""
        worst = self._wrong_by(truths, answers).argmax(axis=1)
        holds, odds = self.log_odds(worst), np.where(truths[np.arange(len(worst)), worst], -1, 1)
        return lambda changed, rows: holds(changed, rows) * odds[rows]

    def _wrong_by(self, truths: np.ndarray, answers: Tensors) -> np.ndarray:
        """How far each probability is from the truth where the wrong thing is said, else 0, [N, C]."""
        p = answers[self.output]
        return np.asarray(np.abs(p - truths) * (self.called(p) != truths))

    def said_of(self, truth: Any) -> str:
        return _JOINED_BY.join(name for name, holds in zip(self.classes, truth, strict=True) if holds)

    def named(self, label: str) -> set[str]:
        return set(label.split(_JOINED_BY)) - {""}

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        inside = np.isfinite(predictions) & (predictions >= -EPSILON) & (predictions <= 1 + EPSILON)
        return np.asarray(inside.all(axis=1))

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        p = predictions.astype(np.float64)
        called = p > self.threshold
        hits = (called & truths).sum(axis=1).astype(np.float64)
        wrong = (called ^ truths).sum(axis=1).astype(np.float64)
        terms = {
            "rows": np.ones(len(p)),
            "hits": hits,
            "wrong": wrong,
            "exact": (wrong == 0).astype(np.float64),
            # How sure the figures are (`bounds_of`).
            "squared_hits": hits**2,
            "squared_wrong": wrong**2,
            "hits_wrong": hits * wrong,
            "some": (hits + wrong > 0).astype(np.float64),
            # Of each class.
            "positives": truths,
            "called": called,
            "true_positives": called & truths,
        }
        clipped = np.clip(p, EPSILON, 1 - EPSILON)
        odds = np.clip((np.log(clipped) - np.log1p(-clipped)) / _MOST_ODDS, -1, 1)
        bucket = np.minimum(((odds + 1) / 2 * _BUCKETS).astype(np.int64), _BUCKETS - 1)
        row_of_histogram = 2 * np.arange(len(self.classes)) + truths
        return UnitTerms(terms, {"score": row_of_histogram * _BUCKETS + bucket})

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        t = sums.of(slice_index)
        if metric == "micro_f1":
            return ratio(2 * t["hits"], 2 * t["hits"] + t["wrong"])
        if metric == "subset_accuracy":
            return ratio(t["exact"], t["rows"])
        if metric == "hamming_loss":
            return ratio(t["wrong"], t["rows"] * len(self.classes))
        parts = [value for value, *_ in self._by_class(metric, sums, slice_index)]
        return float(np.mean(parts)) if parts else None

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        t = sums.of(slice_index)
        if metric == "micro_f1":
            parts = [t[name] for name in ("hits", "wrong", "squared_hits", "squared_wrong", "hits_wrong", "some")]
            return confidence.f1_of_jaccard(confidence.clustered_bounds(*parts, level=level))
        if metric == "subset_accuracy":
            return confidence.proportion_bounds(t["exact"], t["rows"], level)
        if metric == "hamming_loss":
            many = len(self.classes)
            return confidence.mean_of_shares(t["wrong"] / many, t["squared_wrong"] / many**2, t["rows"], level)
        of = {
            "macro_auc": lambda at, positives, negatives, _: confidence.area_bounds(at, positives, negatives, level),
            "macro_auc_pr": lambda at, positives, *_: confidence.proportion_bounds(at * positives, positives, level),
            "macro_f1": lambda at, hits, _, wrong: confidence.f1_bounds(hits, wrong, level),
        }[metric]
        return confidence.mean_of_bounds([of(*part) for part in self._by_class(metric, sums, slice_index)])

    def _by_class(
        self, metric: str, sums: MergeableSums, slice_index: int
    ) -> Iterator[tuple[float, float, float, float]]:
        """The metric of each class of which it can be said, and the counts that it is made of."""
        positives, called, hits = (sums.terms[name][slice_index] for name in ("positives", "called", "true_positives"))
        if metric == "macro_f1":
            for n, m, hit in zip(positives, called, hits, strict=True):
                if n + m:
                    yield float(2 * hit / (n + m)), float(hit), float(n), float(n + m - 2 * hit)
            return
        for histogram in sums.cells["score"][slice_index].reshape(-1, 2, _BUCKETS):
            none, above = np.zeros((2, 1)), histogram[:, ::-1].cumsum(axis=1)[:, ::-1]
            negatives, positive = np.concatenate([above, none], axis=1)
            counts = ScoreCounts(np.arange(_BUCKETS + 1.0), negatives, positive, histogram)
            value = area(counts) if metric == "macro_auc" else area_of_precision(counts)
            if value is not None:
                yield value, float(positive[0]), float(negatives[0]), 0.0

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        rows = float(sums.terms["rows"][0])
        if not rows or not len(truths):
            return super().trivial(sums, truths)
        shares = np.sort(sums.terms["positives"][0] / rows)[::-1]
        some = shares[shares > 0]
        often = np.unique(truths, axis=0, return_counts=True)[1]
        mixed = some[some < 1]
        return {
            "macro_auc": 0.5 if len(mixed) else None,
            "macro_auc_pr": float(mixed.mean()) if len(mixed) else None,
            # Always calling the k most frequent classes.
            "micro_f1": float((2 * shares.cumsum() / (shares.sum() + np.arange(1, len(shares) + 1))).max()),
            "macro_f1": float((2 * some / (1 + some)).mean()) if len(some) else None,
            "subset_accuracy": float(often.max() / len(truths)),
            "hamming_loss": float(np.minimum(shares, 1 - shares).mean()),
        }

    @classmethod
    def guess(cls, label: LabelColumn) -> str:
        return "a row has a list of labels" if label.is_list else ""

    @classmethod
    def draft(cls, label: LabelColumn, positive: str | None = None) -> Draft:
        separator = "" if label.is_list else _separator(label)
        lists = label.values.combine_chunks()
        if separator:
            lists = pc.split_pattern(lists, separator)
        values = pc.utf8_trim_whitespace(pc.list_flatten(lists).cast(pa.string()))
        is_class = pc.not_equal(values, "")
        each = draft_classes(cls.name, LabelColumn(label.name, pa.chunked_array([values.filter(is_class)])), "", ())
        rows = label.rows
        of_none = rows - pc.count_distinct(pc.list_parent_indices(lists).filter(is_class)).as_py()
        shares = sorted(count / rows for count in each.counts.values())
        # The standard error of the area of a model that knows nothing (Mann and Whitney, 1947), of the rarest class.
        rare = min(0.5, shares[0])
        chance = math.sqrt((label.test_rows + 1) / (12 * label.test_rows**2 * rare * (1 - rare)))
        shown = ", ".join(map(str, each.classes[:8])) + ", ..." * (len(each.classes) > 8)
        return Draft(
            label.name,
            cls.name,
            "BYTES",
            story=(
                f"Classes of {label.name!r}: {shown}; {sum(shares):.2g} a row"
                + f", divided by {separator!r}" * bool(separator)
                + f"; {of_none:,} rows have none" * bool(of_none),
            ),
            trivial="0.5 is guessing: the mean over classes of the area under the ROC curve.",
            test_rows=label.test_rows,
            bars=(at_least("macro_auc", max(0.6, 0.5 + min(0.4, chance))),),
            max_loss=float(f"{min(0.1, label.chance):.2g}"),
            most_epochs=each.most_epochs,
            classes=tuple(map(str, each.classes)),
            outputs=len(each.classes),
            is_list=True,
            separator=separator,
        )

    def charts(self, sums: MergeableSums, sample: Sequence[np.ndarray], rows: int) -> dict[str, Any]:
        positives, called, hits = (sums.terms[name][0] for name in ("positives", "called", "true_positives"))
        found = zip(self.classes, divide(2.0 * hits, positives + called), positives, strict=True)
        return {"by_class": [{"name": name, "value": float(f1), "rows": int(rows)} for name, f1, rows in found]}


def separator_of(texts: Sequence[str], marks: Sequence[str] = _SEPARATORS) -> str:
    """What divides texts into classes that several of them share; empty: nothing does."""
    for mark in marks:
        divided = [part.strip() for text in texts for part in text.split(mark)]
        if any(mark in text for text in texts) and len(set(divided)) < len(divided):
            return mark
    return ""


def _separator(label: LabelColumn) -> str:
    """What divides the texts of a label, of which some may be missing."""
    if label.is_number:
        received = label.values[0].as_py()
        raise InputError(f"--task multilabel: the label {label.name!r} must be lists or texts. Received: {received!r}.")
    texts = pc.unique(label.values.drop_null()).to_pylist()
    if not (found := separator_of(texts)):
        raise InputError(
            f"--task multilabel: the label {label.name!r} has one class a row: none of {' '.join(_SEPARATORS)} divides its texts into "
            f"classes that rows share. Received: {texts[0]!r}. Use multiclass, or write several classes with such a mark between them."
        )
    return found
