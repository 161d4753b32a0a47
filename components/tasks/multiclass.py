"""One of several classes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.tasks._classes import EPSILON, ClassesTask
from components.tasks._context import Tensors
from components.tasks._drafts import RARE_MARGIN, Draft, LabelColumn, at_least, draft_classes
from components.tasks._lazily import confidence, np
from components.tasks._sums import MergeableSums, UnitTerms, Values, divide, ratio
from spec.metrics import ACCURACY, LOG_LOSS, MACRO_F1, TOP_3_ACCURACY
from spec.tasks import LabelKind

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.tasks._schema import ModelSchema
    from spec.section import Section

_FEW_CLASSES = 20
_ROWS_A_CLASS = 5


class Multiclass(ClassesTask):
    """Labels are class indices, predictions a probability for each class, [N, C]."""

    name = "multiclass"
    metrics = (ACCURACY, MACRO_F1, TOP_3_ACCURACY, LOG_LOSS)
    epoch_metrics = (ACCURACY,)
    label_kind = LabelKind.CLASSES
    calls_one_class = True
    takes_teacher = True
    explains = True
    activation = "softmax"

    def __init__(
        self, classes: Sequence[str] = (), threshold: float = 0.5, options: Section | Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(classes, threshold, options)
        self.widths = {"confusion": len(self.classes) ** 2}

    def loss(self, schema: ModelSchema) -> Any:
        return "sparse_categorical_crossentropy"

    def curved_loss(self, answers: Any) -> Any:
        from keras import ops

        return ops.logsumexp(answers, axis=-1)

    def training_metrics(self) -> list[Any]:
        return ["accuracy"]

    def called(self, output: Any) -> Any:
        import tensorflow as tf

        return tf.argmax(output, axis=1)

    def objection_to_answers(self, answers: Tensors) -> str:
        worst = float(np.abs(answers[self.output].sum(axis=1) - 1).max())
        if worst >= 1e-3:
            return f"each row of {self.output!r} must sum to 1; one is off by {worst:g}"
        return super().objection_to_answers(answers)

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        inside = np.isfinite(predictions) & (predictions >= -EPSILON) & (predictions <= 1 + 1e-5)
        return np.asarray(inside.all(axis=1) & (np.abs(predictions.sum(axis=1) - 1) < 1e-3))

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        p = predictions.astype(np.float64)
        p /= p.sum(axis=1, keepdims=True)
        of_label = p[np.arange(len(p)), truths]
        called = p.argmax(axis=1)
        terms = {
            "rows": np.ones(len(p)),
            "correct": (called == truths).astype(np.float64),
            # Ties count for the model, as in TensorFlow's in_top_k.
            "top_3": ((p > of_label[:, None]).sum(axis=1) < 3).astype(np.float64),
            "log_loss": (loss := -np.log(np.clip(of_label, EPSILON, 1 - EPSILON))),
            "squared_log_loss": loss**2,
        }
        return UnitTerms(terms, {"confusion": truths.astype(np.int64) * len(self.classes) + called})

    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        if metric == "macro_f1":
            confusion = self.confusion(sums, slice_index)
            support = confusion.sum(axis=0) + confusion.sum(axis=1)
            f1 = divide(2 * np.diag(confusion), support)[support > 0]
            return float(f1.mean()) if len(f1) else None
        term = {"accuracy": "correct", "top_3_accuracy": "top_3", "log_loss": "log_loss"}[metric]
        return ratio(float(sums.terms[term][slice_index]), float(sums.terms["rows"][slice_index]))

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        t = sums.of(slice_index)
        if metric == "macro_f1":
            return _macro_f1(self.confusion(sums, slice_index), level)
        if metric == "log_loss":
            return confidence.mean_loss(t["log_loss"], t["squared_log_loss"], t["rows"], level)
        return confidence.proportion_bounds(t["correct" if metric == "accuracy" else "top_3"], t["rows"], level)

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        counts = self.confusion(sums).sum(axis=1)
        if not counts.sum():
            return super().trivial(sums, truths)
        shares = counts / counts.sum()
        largest = float(shares.max())
        some = shares[shares > 0]
        return {
            "accuracy": largest,
            "macro_f1": 2 * largest / (1 + largest) / len(some),
            "top_3_accuracy": float(np.sort(shares)[-3:].sum()),
            "log_loss": float(-(some * np.log(some)).sum()),
        }

    def confusion(self, sums: MergeableSums, slice_index: int = 0) -> np.ndarray:
        return sums.cells["confusion"][slice_index].reshape(len(self.classes), -1)

    @classmethod
    def guess(cls, label: LabelColumn) -> str:
        if not label.is_number:
            return f"the label is text with {label.distinct:,} values"
        if label.distinct <= _FEW_CLASSES and label.rows >= _ROWS_A_CLASS * label.distinct and label.is_whole:
            return f"the label has {label.distinct} whole numbers as values"
        return ""

    @classmethod
    def draft(cls, label: LabelColumn, positive: str | None = None) -> Draft:
        majority, share = label.majority
        trivial = f"Always saying {majority} has an accuracy of {share:.3f}"
        if label.rare:
            macro_f1 = 2 * share / (1 + share) / label.distinct
            trivial += f" and a macro F1 of {macro_f1:.3f}"
            bar = at_least("macro_f1", macro_f1 + RARE_MARGIN)
        else:
            chance = math.sqrt(share * (1 - share) / label.test_rows)
            bar = at_least("accuracy", share + min((1 - share) / 2, chance))
        return dataclasses.replace(draft_classes(cls.name, label, f"{trivial}.", (bar,)), outputs=label.distinct)


def _macro_f1(confusion: np.ndarray, level: float) -> Bounds | None:
    hits = np.diag(confusion)
    support = confusion.sum(axis=0) + confusion.sum(axis=1)
    parts = [
        (float(2 * hit / many), confidence.f1_bounds(float(hit), float(many - 2 * hit), level))
        for hit, many in zip(hits, support, strict=True)
        if many
    ]
    return confidence.mean_of_parts(parts) if parts else None
