"""The exported model as its callers see it: what it wants, how rows become its tensors, what it answers.

Imports nothing of TFX: the infrastructure check loads models in a process that has TensorFlow alone, as a server does.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pydantic

import answering
from components.columnar import is_list
from components.tasks import Task, find
from spec.errors import InputError
from spec.signatures import EXPLAIN
from spec.words import one_line
from spec.workload import PLAIN

SERVING_FOLDER = "Format-Serving"
SPEC_FILE = pathlib.Path("assets.extra") / "trainyard.json"

# What stands for a missing value of a nullable feature in the raw-tensor signature.
MISSING_INT64 = -(2**63)
MISSING_STRING = b""

Tensors = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class RawFeature:
    """A column that the model takes.

    Attributes:
        dtype: float32, int64 or string.
        shape: of one row; () for a scalar.
        nullable: whether a value may be missing.
        input: its name in `serving_default`, where a column's name is no identifier; empty: the column's name.
        personal: whether schema.pbtxt tags it `personal`; the model server never records such a column.
        na_values: texts that meant a missing value when the model was trained, besides the empty one.
        time_format: of dates, how files write them; the model itself takes ISO 8601.
        booleans: how no and yes are written, where JSON's booleans are taken for them; () elsewhere.
    """

    dtype: str
    shape: tuple[int, ...] = ()
    nullable: bool = False
    input: str = ""
    personal: bool = False
    na_values: tuple[str, ...] = tuple(PLAIN.na_values)
    time_format: str = ""
    booleans: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """What `assets.extra/trainyard.json` says about an exported model.

    Attributes:
        task: by name.
        label: the label's column; None without one.
        classes: in the order of the output, [negative, positive] for binary; empty where the label has none.
        features: by column, which is also the feature's name in a tf.Example.
        threshold: binary only: the label is the positive class where its probability is above it.
        task_options: of the workload.
        signatures: further ones that take raw columns: what each takes, by column.
        rows_at_once: how many rows take little memory, where the model makes much of a row, as of a JPEG; 0: any number.
        weights: the names (Keras's paths) of the variables that the SavedModel holds, in its order; "" of one that is no weight.
    """

    task: str
    label: str | None
    classes: tuple[str, ...]
    features: Mapping[str, RawFeature]
    threshold: float = 0.5
    task_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    signatures: Mapping[str, Mapping[str, RawFeature]] = dataclasses.field(default_factory=dict)
    rows_at_once: int = 0
    weights: tuple[str, ...] = ()

    @classmethod
    def read(cls, saved_model: pathlib.Path) -> ServedModel:
        """Reads the description beside a SavedModel.

        Raises:
            InputError: the file is missing or does not describe a model.
        """
        path = saved_model / SPEC_FILE
        try:
            found = pydantic.TypeAdapter(cls).validate_json(path.read_bytes())
            find(found.task)
        except FileNotFoundError:
            raise InputError(f"{path}: there is no such file. Export the model with Trainyard's Trainer.") from None
        except pydantic.ValidationError as error:
            problem = one_line(error, 300)
            raise InputError(f"{path}: not the description of a model: {problem}. Export the model anew.") from None
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        return found

    def write(self, saved_model: pathlib.Path) -> None:
        """Writes the description beside a SavedModel, where `read` finds it."""
        path = saved_model / SPEC_FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True), encoding="utf-8")

    @functools.cached_property
    def kind(self) -> Task:
        """The task itself, with this model's classes and threshold."""
        return find(self.task)(self.classes, self.threshold, self.task_options)

    @property
    def output(self) -> str:
        """The output of `serving_default` that carries the prediction."""
        return self.kind.output

    def input_name(self, column: str) -> str:
        """What `serving_default` calls a column."""
        return self.features[column].input or column

    def inputs(self, batch: pa.RecordBatch, features: Mapping[str, RawFeature] | None = None) -> dict[str, np.ndarray]:
        """The raw tensors of a batch of plain columns, by column.

        Args:
            features: of a further signature; default: those of `serving_default`.

        Raises:
            InputError: a feature is missing, has nulls that it may not have, or cannot be cast.
        """
        features = self.features if features is None else features
        missing = [name for name in features if name not in batch.schema.names]
        if missing:
            raise InputError(
                f"the data have no column {', '.join(map(repr, missing))}, which the model takes as input. "
                f"Received: {', '.join(batch.schema.names)}."
            )
        return {name: dense(name, batch.column(name), feature) for name, feature in features.items()}


def dense(name: str, column: pa.Array, feature: RawFeature) -> np.ndarray:
    """A column as the tensor that the model takes, [N] or [N, *shape]; missing values become the sentinels.

    Raises:
        InputError: nulls where there may be none, rows of another length, or values of another type.
    """
    shape = (len(column), *feature.shape)
    if column.null_count and (not feature.nullable or feature.shape):
        raise InputError(
            f"column {name!r}: {column.null_count} of {len(column)} values are missing, and the model needs them all. "
            "Let them be missing in schema.pbtxt (`presence { min_fraction: 0.9 } value_count { min: 1 max: 1 }` in place of "
            "`shape {}`), and train anew."
        )
    values = column
    while is_list(values.type):
        values = pc.list_flatten(values)
    try:
        flat = _FLAT[feature.dtype](values)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        problem = one_line(error, 200)
        raise InputError(
            f"column {name!r}: the model takes {feature.dtype}. Received: {column.type} ({problem})."
        ) from None
    if flat.size != int(np.prod(shape)):
        raise InputError(
            f"column {name!r}: the model takes {int(np.prod(feature.shape))} values a row. "
            f"Received: {flat.size} values in {len(column)} rows."
        )
    return flat.reshape(shape)


def _floats(values: pa.Array) -> np.ndarray:
    # A null becomes NaN in to_numpy, which is the sentinel.
    return np.asarray(values.cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float32)


def _integers(values: pa.Array) -> np.ndarray:
    return np.asarray(
        pc.fill_null(values.cast(pa.int64()), MISSING_INT64).to_numpy(zero_copy_only=False), dtype=np.int64
    )


def _strings(values: pa.Array) -> np.ndarray:
    if not (pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type)):
        values = values.cast(pa.string()).cast(pa.binary())
    return np.asarray(pc.fill_null(values, MISSING_STRING).to_numpy(zero_copy_only=False), dtype=object)


_FLAT: dict[str, Callable[[pa.Array], np.ndarray]] = {"float32": _floats, "int64": _integers, "string": _strings}


def is_missing(value: Any, feature: RawFeature) -> bool:
    """Whether a scalar of the raw tensors is the sentinel of a missing value."""
    if not feature.nullable:
        return False
    if feature.dtype == "float32":
        return bool(np.isnan(value))
    return bool(value == (MISSING_INT64 if feature.dtype == "int64" else MISSING_STRING))


def load_answerer(
    saved_model: pathlib.Path, model: ServedModel, by_index: bool = True
) -> Callable[[Mapping[str, np.ndarray]], Tensors]:
    """Loads a SavedModel; the returned function maps raw tensors to all that `serving_default` answers, by output.

    Args:
        by_index: whether an index beside the SavedModel answers, if there is one, as in the model server.

    Raises:
        InputError: the SavedModel, or what lies beside it, does not load, or lacks the signature or the output of its task.
    """
    found = answering.answerer(saved_model, _entries(saved_model), by_index)
    if model.output not in found.outputs:
        raise InputError(
            f"{saved_model}: a model for task {model.task} has an output {model.output!r} in 'serving_default'. "
            f"Received: {', '.join(found.outputs)}. Export the model with Trainyard's Trainer."
        )
    wanted = {model.input_name(name): name for name in model.features}
    if set(wanted) != set(found.inputs):
        raise InputError(
            f"{saved_model}: 'serving_default' takes {', '.join(sorted(found.inputs))}; its description says "
            f"{', '.join(sorted(wanted))}. Export the model anew."
        )
    return _of_columns(found.call, model)


def load_explainer(saved_model: pathlib.Path, model: ServedModel) -> Callable[[Mapping[str, np.ndarray]], Tensors]:
    """The same of the signature `explain`, which the model must have.

    Raises:
        InputError: the SavedModel does not load.
    """
    return _of_columns(_entries(saved_model)(EXPLAIN).call, model)


def _of_columns(
    call: Callable[[Tensors], Tensors], model: ServedModel
) -> Callable[[Mapping[str, np.ndarray]], Tensors]:
    """A signature that takes what `serving_default` does, by column, and a few rows at a time where many take much memory."""

    def answer(inputs: Mapping[str, np.ndarray]) -> Tensors:
        arrays = {model.input_name(name): inputs[name] for name in model.features}
        count = len(next(iter(arrays.values())))
        rows = model.rows_at_once or max(1, count)
        parts = [
            call({name: one[start : start + rows] for name, one in arrays.items()})
            for start in range(0, max(1, count), rows)
        ]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts[1:] else parts[0]

    return answer


def _entries(saved_model: pathlib.Path) -> Callable[[str], answering.Entry]:
    """The signatures of a SavedModel, by name."""
    import tensorflow as tf

    answering.insist_harmless(saved_model)
    v1 = tf.compat.v1
    # As TensorFlow Serving loads it: the graph as it was saved, in a session. `tf.saved_model.load` would trace every function
    # of all signatures again, for callers from Python that there are none of: three times the CPU time before the first answer.
    # Grappler, too, takes longer over a transform graph than it saves on a split.
    options = v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = True
    session = v1.Session(graph=tf.Graph(), config=options)
    try:
        with session.graph.as_default():
            signatures = v1.saved_model.loader.load(session, ["serve"], str(saved_model)).signature_def
    except (OSError, tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(f"{saved_model}: does not load: {' '.join(str(error).split())[:300]}") from None

    def entry(name: str) -> answering.Entry:
        inputs, outputs = list(signatures[name].inputs), sorted(signatures[name].outputs)
        run = session.make_callable(
            [signatures[name].outputs[one].name for one in outputs],
            [signatures[name].inputs[one].name for one in inputs],
        )

        def call(given: Mapping[str, np.ndarray]) -> Tensors:
            # `session` is kept by this closure: without it the callable has nothing to run in.
            assert session is not None
            return dict(zip(outputs, run(*(given[one] for one in inputs)), strict=True))

        return answering.Entry(inputs, outputs, call)

    return entry
