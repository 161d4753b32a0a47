"""What the evaluator, the simple methods beside a model and the report ask a task: how good a model of it is."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from components.tasks._context import Context, Tensors
from components.tasks._gallery import Gallery, ShownRows
from components.tasks._lazily import confidence, np
from components.tasks._scores import ScoreCounts
from components.tasks._sums import MergeableSums, UnitTerms, Values, by_slice, counted, weighted
from components.tasks._views import View
from spec.tasks import LabelKind, TaskFacts

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.gates import CheckResult

Conviction = Callable[[Tensors, "np.ndarray"], "np.ndarray"]


class Judged(TaskFacts, abc.ABC):
    """The half of a task that judges. The other one, `Task`, builds and serves what is judged.

    Attributes:
        output: the output of `serving_default` that carries the prediction.
        widths: of the histograms that `terms` counts, in cells.
        unit: what is judged, in the plural.
        unit_term: the term whose sum is how many units were judged.
        valid_words: what a valid prediction is.
        views: the figures of a report, in its order.
        gallery_rows: how many rows of the test split `gallery` is given; 0: there is none.
        classes: in the order of the output; of two, the positive one is the last.
    """

    output: ClassVar[str] = "prediction"
    widths: Mapping[str, int] = {}
    unit: ClassVar[str] = "rows"
    unit_term: ClassVar[str] = "rows"
    valid_words: ClassVar[str] = "finite"
    views: ClassVar[tuple[View, ...]] = ()
    gallery_rows: ClassVar[int] = 0
    classes: tuple[str, ...]

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """The shape of `output` for one row."""
        return ()

    @classmethod
    def objection_to_judge(cls, judge: Any) -> str:
        """Why a release cannot judge (`needs_judge`), in words that its name goes before; empty: it can. Asked before the training.

        Args:
            judge: what it takes and answers, a `components.served_model.ServedModel`.
        """
        return ""

    def prepare(self, context: Context) -> Self:
        """Looks at the rows before they are judged, where metrics need it, as those over a corpus do; returns the task that judges."""
        return self

    @property
    def judged_output(self) -> str:
        """The output that `judged` looks at."""
        return self.output

    @property
    def judged_shape(self) -> tuple[int, ...]:
        """Of what is judged, for one row: of `judged`, and of what a simple method beside the model answers."""
        return self.answer_shape

    def judged(self, answers: Tensors) -> np.ndarray:
        """What of a model's answers is judged, [N, *judged_shape] unless `terms` takes another shape."""
        return answers[self.judged_output]

    def valid(self, predictions: np.ndarray) -> np.ndarray:
        """Which rows have a prediction that can be judged, [N] of bool."""
        return np.asarray(np.isfinite(predictions).reshape(len(predictions), -1).all(axis=1))

    def kept(self, truths: np.ndarray, predictions: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """What is kept of predictions until all rows of each group are there, [N, ...]; of tasks that judge by groups.

        Args:
            truths: [N, ...].
            predictions: of `judged`, [N, ...].
            groups: each row's group, [N] of int64.
        """
        return predictions

    def constant(self, kept: np.ndarray) -> np.ndarray:
        """What a model that knows nothing would have answered, in place of `kept`; of tasks that judge by groups."""
        return np.zeros_like(kept)

    def terms(self, truths: np.ndarray, predictions: np.ndarray) -> UnitTerms:
        """What the metrics need of each row; of tasks without a query.

        Args:
            truths: of `truths`, [N, ...].
            predictions: valid ones, [N, *judged_shape].
        """
        raise NotImplementedError

    def group_terms(
        self, truths: np.ndarray, predictions: np.ndarray, groups: np.ndarray, slices: np.ndarray | None = None
    ) -> tuple[UnitTerms, np.ndarray]:
        """What the metrics need of each group; with slices, of each group's rows in each slice. Of tasks with a query.

        Args:
            truths: [N].
            predictions: valid ones, [N].
            groups: each row's group, [N] of int64.
            slices: each row's slice, [N].

        Returns:
            The terms of Q groups, and a row of each, [Q].
        """
        raise NotImplementedError

    def reduce(
        self, units: UnitTerms, slices: np.ndarray | None = None, count: int = 1, weights: np.ndarray | None = None
    ) -> MergeableSums:
        """Sums per slice.

        Args:
            units: of `terms` or `group_terms`.
            slices: each unit's slice in 0..count-1, [N]; default: all are in slice 0.
            count: how many slices there are.
            weights: how often each unit counts, [N]; default once.
        """
        if slices is None:
            index: np.ndarray | int = 0
            # Not `@`: BLAS would start threads for sums that one core is done with sooner.
            terms = {name: weighted(value, weights).sum(axis=0)[np.newaxis] for name, value in units.terms.items()}
        else:
            index = slices
            terms = {name: by_slice(weighted(value, weights), slices, count) for name, value in units.terms.items()}
        cells = {}
        for name, cell in units.cells.items():
            width = self.widths[name]
            flat = counted(index, cell, width, weights, count * width)
            cells[name] = flat.astype(np.float64, copy=False).reshape(count, width)
        return MergeableSums(terms, cells)

    @abc.abstractmethod
    def value(self, metric: str, sums: MergeableSums, slice_index: int = 0) -> float | None:
        """One metric of one slice; None where it is undefined, as AUC is for a single class."""

    def values(self, sums: MergeableSums, slice_index: int = 0) -> Values:
        """All metrics of one slice."""
        return {name: self.value(name, sums, slice_index) for name in self.metric_names()}

    def bounds(self, metric: str, sums: MergeableSums, level: float, slice_index: int = 0) -> Bounds | None:
        """How sure one metric of one slice is (components/confidence.py).

        Args:
            metric: one of `metrics`.
            level: of each bound, e.g. 0.95.

        Returns:
            None where the metric is undefined, or nothing can be said of it: a single row, or all rows with the same loss.

        Example:
            >>> import numpy as np
            >>> from components.tasks.binary import Binary
            >>> task = Binary()
            >>> four = task.reduce(task.terms(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.8, 0.9])))
            >>> task.value("auc", four), round(task.bounds("auc", four, 0.95).low, 2)
            (1.0, 0.36)
        """
        value = self.value(metric, sums, slice_index)
        return None if value is None else self.bounds_of(metric, value, sums, level, slice_index)

    def bounds_of(
        self, metric: str, value: float, sums: MergeableSums, level: float, slice_index: int
    ) -> Bounds | None:
        """`bounds` of a value that is defined. Default: of a mean, where there is a term of the metric's name and `squared_` it."""
        terms = sums.of(slice_index)
        if metric not in terms or f"squared_{metric}" not in terms:
            return None
        return confidence.mean(terms[metric], terms[f"squared_{metric}"], terms[self.unit_term], level)

    def trivial(self, sums: MergeableSums, truths: np.ndarray) -> Values:
        """By metric, the best that giving every row the same answer reaches; None where that cannot be said.

        That answer may be another for each metric: the most frequent class for accuracy, its share for log_loss, always the
        positive class for recall, the mean for rmse, the median for mae.

        Args:
            sums: over all rows; of tasks with a query those of rows that all have the same score.
            truths: of a sample of the rows, [N]; for medians.
        """
        return dict.fromkeys(self.metric_names())

    @property
    def by_groups(self) -> bool:
        """Whether groups of rows are judged, and not each row for itself."""
        return self.needs_query or self.answers_queries

    @property
    def answers_rows(self) -> bool:
        """Whether a row's label is told by its columns, so that it can be asked which of them it takes."""
        told = self.label_kind.has_classes or self.label_kind is LabelKind.NUMBER
        return told and not (self.label_optional or self.answers_queries)

    @property
    def has_baseline(self) -> bool:
        """Whether gradient boosting gives answers of the same kind: the class or the number of each row."""
        shapes = {LabelKind.TWO_CLASSES: (), LabelKind.CLASSES: (len(self.classes),), LabelKind.NUMBER: ()}
        return shapes.get(self.label_kind) == self.answer_shape

    def model_checks(self, context: Context) -> list[CheckResult]:
        """What the Evaluator says of the model that it judges, besides its metrics."""
        return []

    def data_checks(self, sums: MergeableSums, query: str) -> list[CheckResult]:
        """What the Evaluator says of the rows that it judges by, whatever the model."""
        return []

    def confusion(self, sums: MergeableSums, slice_index: int = 0) -> np.ndarray | None:
        """Rows by truth and prediction, [C, C]; None where there are no classes."""
        return None

    def score_counts(self, sums: MergeableSums, slice_index: int = 0) -> ScoreCounts | None:
        """Rows by score, of two classes; None for other tasks."""
        return None

    def charts(self, sums: MergeableSums, sample: Sequence[np.ndarray], rows: int) -> dict[str, Any]:
        """What metrics.json keeps to draw the model by, JSON by name.

        Args:
            sums: over all rows.
            sample: truths and predictions of some rows, [N, ...] each; empty: there are none.
            rows: of how many rows they are a sample.
        """
        return {}

    def interest(self, truths: np.ndarray, answers: Tensors) -> np.ndarray:
        """How much a reader wants to see each row, [N]; -inf: not at all. Those with the most come into the gallery.

        Default: all the same, so that chance chooses.

        Args:
            truths: of `truths`, [N, ...].
            answers: the outputs of `serving_default`, [N, ...] each, where they can be judged.
        """
        return np.zeros(len(truths))

    def conviction(self, truths: np.ndarray, answers: Tensors) -> Conviction | None:
        """How sure the model is of what it answered to the gallery's rows, once parts of them are changed.

        Args:
            truths: of the rows, [N, ...].
            answers: to the rows, [N, ...] each.

        Returns:
            A function of the answers to changed rows, [M, ...] each, and of which rows these were, [M]: how sure the model still is
            of the answer to the unchanged row, [M], larger is surer. None: answers of this task are not explained.
        """
        return None

    def gallery(self, rows: ShownRows, truths: np.ndarray, answers: Tensors) -> Sequence[Gallery]:
        """What a report shows of single rows.

        Args:
            rows: of the test split, those with the most `interest` first; at most `gallery_rows`.
            truths: theirs, [N, ...].
            answers: theirs, [N, ...] each.
        """
        return ()
