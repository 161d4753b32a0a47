"""What the trainer, the infrastructure check, batch prediction and the scaffold ask a task; _judged.py has what judges ask."""

from __future__ import annotations

import abc
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from components.tasks._columns import class_indices, numbers
from components.tasks._context import Tensors
from components.tasks._drafts import Draft, LabelColumn, Unlabelled
from components.tasks._judged import Judged
from components.tasks._lazily import np, pa
from components.tasks._signatures import Signature
from spec import tasks
from spec.errors import InputError
from spec.section import Section

if TYPE_CHECKING:
    from components.tasks._schema import ModelSchema
    from components.tasks.catalogue import Catalogue

DRAWN = "drawn/"
"""Before a feature's name: the feature of items that were drawn for a row."""

Embed = Callable[[Callable[[Mapping[str, Any]], Any]], "np.ndarray"]


class Task(Judged):
    """What a model predicts, and all that follows from it.

    A subclass says in class attributes what is known beforehand (`TaskFacts`), and in methods how a model is built, fitted, served
    and judged (`Judged`). An instance knows the classes and the decision threshold of one model. A head, a loss, terms and the
    metrics made of their sums are enough; all else has a default that fits one answer a row, of any shape.

    Attributes:
        tfs_signature: TensorFlow Serving's own signature that the task has besides, `classify` or `regress`; empty: none.
        least_label: the least value of a label that is a number; None: any.
        label_word: what a label's value is called.
        inexact: outputs that a last digit of another one turns over, such as the bytes of a picture; the infrastructure check holds no
            two of them against each other.
        sketch_rows: how many rows of eval `sketch` is given after some epochs; 0: there is no such picture.
        guide: the page about a workload of this task, for whoever writes it by hand.

    Args:
        classes: in the order of the output; of two, the positive one is the last.
        threshold: above which probability a row is called positive.
        options: `task_options` of workload.yaml, for `Options`.
    """

    tfs_signature: ClassVar[str] = ""
    least_label: ClassVar[float | None] = None
    label_word: ClassVar[str] = "label"
    inexact: ClassVar[frozenset[str]] = frozenset()
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

    def taught(self, answers: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """What a student is shown of its teacher's answers, [N, any], where `takes_teacher`.

        Args:
            answers: the teacher's `output`, [N, *answer_shape].
            classes: the teacher's.

        Raises:
            InputError: they are not the student's.
        """
        raise NotImplementedError

    def teachers_loss(self, schema: ModelSchema, temperature: float) -> Any:
        """Of Keras: what the output comes to, held against `taught`."""
        raise NotImplementedError

    def training_metrics(self) -> list[Any]:
        """Keras metrics that each epoch shows beside the loss."""
        return []

    def training_target(self, features: Mapping[str, Any]) -> Any:
        """What the loss holds the output against where there is no label, or an optional one, of the model's features [N, ...]."""
        raise NotImplementedError

    @property
    def drawn_items(self) -> int:
        """How many other items of train are drawn for each row: their features are there by `DRAWN` and the name, [N, n, ...]."""
        return 0

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

    def write_beside(self, saved_model: pathlib.Path) -> None:
        """Writes what a release has besides its SavedModel, into its folder `assets.extra/`; after `stock`."""

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

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        """The outputs of `serving_default` by name, in the graph.

        Args:
            output: of the model, [N, *head_shape].
            features: the transformed ones that it was given, [N, ...].
            model: what `build_model` returned; a part of it, such as an encoder, may have an answer of its own.
        """
        return {self.output: output}

    def explained_score(self, output: Any, answered: Any) -> Any:
        """What the signature `explain` explains, in the graph: a number each row that grows with what was answered, [N]; `explains`.

        Args:
            output: of the model to changed rows, [N, *head_shape].
            answered: the same to the rows as they are.
        """
        raise NotImplementedError

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
