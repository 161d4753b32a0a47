"""Knowledge distillation: a student learns from its teacher's answers beside the labels.

Hinton et al. 2015, "Distilling the Knowledge in a Neural Network". The teacher is a release: it is asked once for each row of train,
before the fitting, and sees raw columns as it does when it is served. So it knows nothing of what `late_fn` draws for the student.
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from components.columnar import SplitWriter, read_batches, tfx_columns
from components.served_model import SERVING_FOLDER, ServedModel, load_answerer
from components.tasks import Feature, ModelSchema, Task
from components.trainer._config import TrainingConfig
from components.trainer._start import named_release, release_name
from components.trainer.late import Late, as_stored
from components.trainer.sources import Sources
from spec.errors import InputError
from spec.splits import TRAIN
from spec.words import one_line

TAUGHT = "teacher/taught"
"""What each row of train has beside its features: what `Task.taught` made of the teacher's answer."""


def write_taught(sources: Sources, config: TrainingConfig, task: Task, late: Late, target: pathlib.Path) -> Feature:
    """Writes the rows of train anew, transformed, each with its teacher's answer.

    They are transformed once more, beside the teacher's look at them: Transform keeps no order of rows that would say which is which.

    Args:
        late: what is stored of a row.
        target: the URI of Examples with a split train.

    Returns:
        The feature `TAUGHT`.

    Raises:
        InputError: the teacher has other classes, takes columns that the data lacks, or answers with what is no number.
    """
    batches = _taught(sources, config, task, late)
    if (first := next(batches, None)) is None:
        raise InputError(f"{sources.raw_examples}: split {TRAIN} has no rows. Give the pipeline more data.")
    with SplitWriter(target, TRAIN, first.schema) as writer:
        for batch in itertools.chain([first], batches):
            writer.write(batch)
    return Feature(TAUGHT, "float32", (len(task.classes) or 1,))


def _taught(sources: Sources, config: TrainingConfig, task: Task, late: Late) -> Iterator[pa.RecordBatch]:
    """What is stored of each row, its label, and `TAUGHT`."""
    saved_model = pathlib.Path(sources.teacher) / SERVING_FOLDER
    teacher = ServedModel.read(saved_model)
    answer = load_answerer(saved_model, teacher)
    layer, adapter = sources.transform.transform_features_layer(), None
    for batch in read_batches(sources.raw_examples, TRAIN):
        try:
            said = answer(teacher.inputs(batch))[teacher.output]
        except tf.errors.InvalidArgumentError as error:
            raise InputError(f"training.teacher: it fails on a batch of train: {one_line(error, 300)}") from None
        taught = task.taught(said, teacher.classes)
        if not np.isfinite(taught).all():
            raise InputError("training.teacher: it answers with what is no finite number. Name another.")
        if config.label_scale == "log":
            taught = np.maximum(taught, 0)  # as the labels are
        columns = tfx_columns(batch)
        adapter = adapter or _adapter(columns.schema, sources.transform.raw_metadata.schema)
        transformed = layer(adapter.ToBatchTensors(columns))
        arrays = {name: _column(one) for name, one in as_stored(transformed, late.stored.values()).items()}
        if label := config.learnt_label:
            arrays[label] = _column(tf.convert_to_tensor(transformed[label]))
        yield pa.RecordBatch.from_pydict({**arrays, TAUGHT: _column(tf.constant(taught))})


def _adapter(columns: pa.Schema, schema: Any) -> tensor_adapter.TensorAdapter:
    """Raw columns to the tensors that the transform graph takes, as in Transform."""
    representations = tensor_representation_util.InferTensorRepresentationsFromMixedSchema(schema)
    return tensor_adapter.TensorAdapter(tensor_adapter.TensorAdapterConfig(columns, representations))


def _column(tensor: Any) -> pa.Array:
    """[n, ...], dense or ragged, as it is stored."""
    if isinstance(tensor, tf.RaggedTensor):
        offsets = pa.array(tensor.row_splits.numpy(), pa.int64())
        return pa.LargeListArray.from_arrays(offsets, pa.array(tensor.flat_values.numpy()))
    values = tensor.numpy()
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), int(np.prod(values.shape[1:])))


class Student(keras.Model):
    """A model while it is taught: in training its loss is the label's and the teacher's, in evaluation the label's alone.

    Args:
        model: built; the student itself, whose weights are all that there are.
        loss: of the output against `TAUGHT`.
        weight: what it counts; the label's has the rest.
    """

    def __init__(self, model: keras.Model, loss: keras.losses.Loss, weight: float) -> None:
        super().__init__()
        self.model, self._teachers_loss, self._weight = model, loss, weight
        self.built = True

    def call(self, inputs: Mapping[str, Any], training: bool = False) -> Any:
        return self.model({name: value for name, value in inputs.items() if name != TAUGHT}, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        of_labels = super().compute_loss(x, y, y_pred, sample_weight, training)
        if not training:
            return of_labels
        of_teacher = self._teachers_loss(x[TAUGHT], y_pred, sample_weight)
        return (1 - self._weight) * of_labels + self._weight * of_teacher


def student(model: keras.Model, schema: ModelSchema, config: TrainingConfig, module_file: str) -> Student:
    """A new model, ready to be compiled and taught; compiled as it was, if it was.

    Raises:
        InputError: it trains by steps or losses of its own, which know of no teacher.
    """
    assert config.teacher is not None
    own = [
        name for name in ("train_step", "compute_loss") if getattr(type(model), name) is not getattr(keras.Model, name)
    ]
    if own:
        raise InputError(
            f"training.teacher: {module_file}: the model has a {own[0]} of its own, which knows of no teacher."
        )
    taught = Student(model, schema.kind.teachers_loss(schema, config.teacher.temperature), config.teacher.weight)
    if model.compiled:
        taught.compile(**model._compile_config.config)
    return taught


def record(config: TrainingConfig, folder: str) -> dict[str, Any]:
    """What history.json says of the teacher that an artifact holds."""
    release, teacher = named_release(folder), config.teacher
    assert release is not None and teacher is not None
    words = (
        f"Taught by {release_name(release)}: its answers count {teacher.weight:g} of the loss, "
        f"at temperature {teacher.temperature:g}."
    )
    return {"release": release, "temperature": teacher.temperature, "weight": teacher.weight, "words": words}
