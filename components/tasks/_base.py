"""What the trainer, the evaluator, the infrastructure check, batch prediction, the report and the scaffold ask a task."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from components.tasks._columns import class_indices, numbers
from components.tasks._context import Context, Tensors
from components.tasks._drafts import Draft, LabelColumn, Unlabelled
from components.tasks._gallery import Gallery, ShownRows
from components.tasks._lazily import confidence, np, pa
from components.tasks._scores import ScoreCounts
from components.tasks._signatures import Signature
from components.tasks._sums import MergeableSums, UnitTerms, Values, by_slice, counted, weighted
from components.tasks._views import View
from spec import tasks
from spec.errors import InputError
from spec.section import Section
from spec.tasks import LabelKind, TaskFacts

if TYPE_CHECKING:
    from components.confidence import Bounds
    from components.gates import CheckResult
    from components.tasks._schema import ModelSchema
    from components.tasks.catalogue import Catalogue

Embed = Callable[[Callable[[Mapping[str, Any]], Any]], "np.ndarray"]
Conviction = Callable[[Tensors, "np.ndarray"], "np.ndarray"]


class Task(TaskFacts, abc.ABC):
    """What a model predicts, and all that follows from it.

    A subclass says in class attributes what is known beforehand (`TaskFacts`), and in methods how a model is built, fitted,
    judged and served. An instance knows the classes and the decision threshold of one model. A head, a loss, terms and the
    metrics made of their sums are enough; all else has a default that fits one answer a row, of any shape.

    Attributes:
        output: the output of `serving_default` that carries the prediction.
        tfs_signature: TensorFlow Serving's own signature that the task has besides, `classify` or `regress`; empty: none.
        widths: of the histograms that `terms` counts, in cells.
        least_label: the least value of a label that is a number; None: any.
        label_word: what a label's value is called.
        unit: what is judged, in the plural.
        unit_term: the term whose sum is how many units were judged.
        valid_words: what a valid prediction is.
        views: the figures of a report, in its order.
        inexact: outputs that a last digit of another one turns over, such as the bytes of a picture; the infrastructure check holds no
            two of them against each other.
        gallery_rows: how many rows of the test split `gallery` is given; 0: there is none.
        sketch_rows: how many rows of eval `sketch` is given after some epochs; 0: there is no such picture.
        guide: the page about a workload of this task, for whoever writes it by hand.

    Args:
        classes: in the order of the output; of two, the positive one is the last.
        threshold: above which probability a row is called positive.
        options: `task_options` of workload.yaml, for `Options`.
    """

    output: ClassVar[str] = "prediction"
    tfs_signature: ClassVar[str] = ""
    widths: Mapping[str, int] = {}
    least_label: ClassVar[float | None] = None
    label_word: ClassVar[str] = "label"
    unit: ClassVar[str] = "rows"
    unit_term: ClassVar[str] = "rows"
    valid_words: ClassVar[str] = "finite"
    views: ClassVar[tuple[View, ...]] = ()
    inexact: ClassVar[frozenset[str]] = frozenset()
    gallery_rows: ClassVar[int] = 0
    sketch_rows: ClassVar[int] = 0
    guide: ClassVar[str] = "docs/guides/new-workload.md"

    def __init__(
        self, classes: Sequence[str] = (), threshold: float = 0.5, options: Section | Mapping[str, Any] | None = None
    ) -> None:
        self.classes = tuple(classes)
        self.threshold = threshold
        self.options = self.Options.model_validate(options or {})

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker finds the class by its name: that of a use case's own task is in no module that it could import.
        return _restored, (self.name, vars(self))

    # The label.

    @property
    def learns_label(self) -> bool:
        """Whether the loss is held against the label, and not against `training_target`."""
        return not self.label_optional

    @classmethod
    def ordered_classes(cls, domain: Sequence[str], label: str, positive: str = "") -> list[str]:
        """The classes in the order of the output, where the label has classes.

        Args:
            domain: the label's in schema.pbtxt.
            positive: the positive class of two; empty: the last.

        Raises:
            InputError: the domain does not fit the task.
        """
        return list(domain)

    def targets(self, values: Any) -> Any:
        """Raw label tensor [N] -> what the loss takes, inside the transform graph: class index int64 (-1: unknown), or float32.

        Text that names no class is handed on: `late_target` decodes it.
        """
        import tensorflow as tf

        if isinstance(values, tf.SparseTensor):
            shape = [values.dense_shape[0], 1]
            values = tf.sparse.to_dense(tf.SparseTensor(values.indices, values.values, shape))[:, 0]
        if not self.label_kind.has_classes:
            return values if values.dtype == tf.string else tf.cast(values, tf.float32)
        text = values if values.dtype == tf.string else tf.strings.as_string(values)
        places = list(range(len(self.classes)))
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(list(self.classes), places, tf.string, tf.int64), -1
        )
        return table.lookup(text)

    def late_target(self, target: Any) -> Any:
        """What `targets` made [N, ...] -> what the loss takes, in the graph, batch by batch: a task whose label is an image stores its
        bytes, and decodes them here.
        """
        return target

    def truths(self, batch: pa.RecordBatch, label: str | None) -> np.ndarray:
        """What predictions for a batch of raw columns are held against, [N, ...]: class indices, or numbers; zeros without a label.

        Raises:
            InputError: a label is missing, none of the classes, no finite number, or below the least.
        """
        if label is None:
            return np.zeros(batch.num_rows)
        return self.read_labels(batch.column(label), label)

    def truth_columns(self, label: str | None) -> tuple[str, ...]:
        """The columns that `truths` reads."""
        return () if label is None else (label,)

    def read_labels(self, column: pa.Array | pa.ChunkedArray, label: str) -> np.ndarray:
        """A column of labels, [N]; raises InputError as `truths` does."""
        where = f"label {label!r}: "
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        try:
            values = class_indices(column, self.classes) if self.label_kind.has_classes else numbers(column, self.name)
        except InputError as error:
            raise InputError(where + str(error)) from None
        if self.least_label is not None and len(values) and values.min() < self.least_label:
            raise InputError(
                f"{where}a {self.label_word} is {self.least_label:g} or more. Received: {values.min():g}. Mend those rows."
            )
        return values

    # The model.

    @abc.abstractmethod
    def head_shape(self, schema: ModelSchema) -> tuple[int | None, ...]:
        """The shape of a model's output for one row; None where any width will do, and build_model ends without `schema.outputs`."""

    @abc.abstractmethod
    def loss(self, schema: ModelSchema) -> Any:
        """Of Keras: its name, or an object."""

    def head(self, schema: ModelSchema, x: Any) -> Any:
        """The layers that end a model, on features [N, d], or [N, members, d] of several networks side by side.

        Returns:
            [N, *head_shape].
        """
        import keras

        flat = self.answers_of(schema, x)
        return keras.layers.Reshape(self.head_shape(schema), dtype="float32", name="output")(flat)

    def answers_of(self, schema: ModelSchema, x: Any, activation: str | None = None) -> Any:
        """What the loss takes before a sigmoid, a softmax or the label's unit, [N, numbers of the head]; members are averaged.

        Args:
            activation: of each member's answer, where it is the activated ones that the loss is of.
        """
        import math

        import keras

        shape = [n for n in self.head_shape(schema) if n is not None]
        if len(shape) < len(self.head_shape(schema)):
            raise InputError(
                f"schema.outputs(x): task {self.name} takes an output of any width. End build_model with layers of your own."
            )
        width = math.prod(shape)
        if len(x.shape) == 2:
            return keras.layers.Dense(width, activation, dtype="float32")(x)
        from components.tasks._members import MeanAnswer

        members = (x.shape[1], width)
        own = keras.layers.EinsumDense("nmi,mio->nmo", members, activation, bias_axes="mo", dtype="float32")(x)
        return MeanAnswer(self.name, dtype="float32")(own)

    def curved_loss(self, answers: Any) -> Any:
        """[..., d] -> [...]: the part of the loss that is not linear in the answers of members (components/tasks/_members.py).

        Default: of a mean squared error.
        """
        from keras import ops

        return ops.mean(ops.square(answers), axis=-1)

    def training_metrics(self) -> list[Any]:
        """Keras metrics that each epoch shows beside the loss."""
        return []

    def training_target(self, features: Mapping[str, Any]) -> Any:
        """What the loss holds the output against where there is no label, or an optional one, of the model's features [N, ...]."""
        raise NotImplementedError

    def objection_to_output(self, output: np.ndarray) -> str:
        """What is wrong with what an untrained model answers, [N, *head_shape]; empty: nothing."""
        return ""

    def catalogue_columns(self) -> tuple[str | None, Sequence[str]] | None:
        """The column of the ids of what is found among the items of train, and the items' columns; None where nothing is found so.

        Without an id each row of train is an item.
        """
        return None

    def linked_features(self, schema: ModelSchema) -> tuple[str | None, str] | None:
        """Features: a query's id, if there is one, and an item's; their pairs in train are `ModelSchema.interactions`."""
        return None

    def sketch(self, output: np.ndarray) -> np.ndarray:
        """A picture of what the model has learnt so far, uint8 [H, W, 1 or 3]: a report shows it of a few epochs.

        Args:
            output: of the model for the first `sketch_rows` rows of eval, the same ones each time, [N, *head_shape].
        """
        raise NotImplementedError

    # What is served.

    def served_columns(self, columns: Sequence[str]) -> Sequence[str]:
        """The raw columns that a request to `serving_default` carries, of all but the label."""
        return columns

    def stock(self, model: Any, schema: ModelSchema, catalogue: Catalogue, embed: Embed) -> Any:
        """Gets the items of `catalogue_columns` ready to be found by the served model, once it is fitted.

        Args:
            model: what `build_model` returned.
            catalogue: the items of train.
            embed: what is computed of the features [n, ...] of items, in the graph -> the same for all of them, [M, ...].

        Returns:
            What the SavedModel has to keep, a `tf.Module`.
        """
        raise NotImplementedError

    def served_output(self, model: Any, features: Mapping[str, Any]) -> Any:
        """The output that `answers` is given, [N, ...], in the graph: by default the whole model's.

        Args:
            model: what `build_model` returned.
            features: the transformed ones that `served_columns` suffice for, [N, ...].
        """
        return model(features, training=False)

    def beside_features(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Of raw columns what `answers` and `signatures` need as it is, in the graph, by names that no feature has.

        Args:
            raw: [N, ...] by column; a `tf.SparseTensor` where values may be missing.
        """
        return {}

    def signatures(self, model: Any, schema: ModelSchema) -> Mapping[str, Signature]:
        """What the SavedModel answers besides, by signature: of other columns, or of what only the model knows, such as a code."""
        return {}

    @property
    def answer_shape(self) -> tuple[int, ...]:
        """The shape of `output` for one row."""
        return ()

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """The outputs of `serving_default` by name, in the graph.

        Args:
            output: of the model, [N, *head_shape].
            features: the transformed ones that it was given, [N, ...].
            model: what `build_model` returned; a part of it, such as an encoder, may have an answer of its own.
        """
        return {self.output: output}

    def tfs_answers(self, output: Any) -> dict[str, Any]:
        """The outputs of `tfs_signature` by name, in the graph."""
        raise NotImplementedError

    def tfs_expected(self, answers: Tensors) -> Tensors:
        """What `tfs_signature` has to answer where `serving_default` answers so."""
        raise NotImplementedError

    def objection_to_answers(self, answers: Tensors) -> str:
        """What is wrong with finite answers of the right shape; empty: nothing. `output` is among them."""
        return ""

    def settled(self, found: Tensors, expected: Tensors) -> Tensors:
        """What the infrastructure check holds against `expected`, the model's answers to the same rows asked otherwise.

        Default: `found`, of which numbers may differ in a last digit. Where such a digit may turn over what is called, as the class of
        a pixel, a task answers `expected` if no more than that has happened.
        """
        return found

    def prediction_types(self) -> dict[str, pa.DataType]:
        """The columns that batch prediction writes: some outputs of `serving_default`, with their types."""
        kind = pa.float32()
        for _ in self.answer_shape:
            kind = pa.list_(kind)
        return {self.output: kind}

    # How good it is.

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
    def has_baseline(self) -> bool:
        """Whether gradient boosting gives answers of the same kind: the class or the number of each row."""
        shapes = {LabelKind.TWO_CLASSES: (), LabelKind.CLASSES: (len(self.classes),), LabelKind.NUMBER: ()}
        return shapes.get(self.label_kind) == self.answer_shape

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

    # What `trainyard new` writes.

    @classmethod
    def guess(cls, label: LabelColumn) -> str:
        """Why a label's values make it this task, in words; empty where they do not."""
        return ""

    @classmethod
    def draft(cls, label: LabelColumn, positive: str | None = None) -> Draft:
        """What `trainyard new` writes for a label.

        Args:
            label: the column; as text where its classes are read so.
            positive: the class that was asked for as the positive one.

        Raises:
            InputError: the label does not fit, or the task has no draft.
        """
        raise InputError(
            f"--task {cls.name}: `trainyard new` does not draft this task. Take a workload that has it for a pattern (`trainyard "
            f"list` names them); {cls.guide} says what it is made of."
        )

    @classmethod
    def draft_unlabelled(cls, table: Unlabelled) -> Draft:
        """What `trainyard new` writes for a table without a label.

        Raises:
            InputError: the task needs a label, or has no such draft.
        """
        raise InputError(
            f"--task {cls.name}: `trainyard new` does not draft this task without a label. Name the column with --label, or write "
            f"its workload by hand ({cls.guide})."
        )


def _restored(name: str, state: dict[str, Any]) -> Task:
    kind = find(name)
    task = kind.__new__(kind)
    vars(task).update(state)
    return task


def find(name: str) -> type[Task]:
    """The class of a task, by its name or its dotted path.

    Raises:
        InputError: there is none; says which there are.
    """
    found = tasks.find(name)
    if not issubclass(found, Task):
        raise InputError(
            f"{name}: must be a subclass of components.tasks.Task. Received: {found.__mro__[1]}.", field="task"
        )
    return found
