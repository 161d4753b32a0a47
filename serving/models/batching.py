"""How a model's requests are put together: what the command line says, and TF Serving's file beside a SavedModel."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

from serving.models.lane import LaneOptions
from spec.errors import InputError

FILE = "batching_params.pbtxt"
_WRAPPED = {
    1: ("max_batch_size", "Int64Value"),
    2: ("batch_timeout_micros", "Int64Value"),
    3: ("max_enqueued_batches", "Int64Value"),
    4: ("num_batch_threads", "Int64Value"),
    5: ("thread_pool_name", "StringValue"),
    7: ("pad_variable_length_inputs", "BoolValue"),
}


@dataclasses.dataclass(frozen=True)
class PerModel:
    """A number for all models, and for some another one."""

    general: int
    others: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def of(self, model: str) -> int:
        return self.others.get(model, self.general)


@dataclasses.dataclass(frozen=True)
class Batching:
    """What the command line says.

    Attributes:
        lane: for all models, but for `max_batch_size` and `batch_timeout_micros`.
    """

    lane: LaneOptions
    max_batch_size: PerModel
    batch_timeout_micros: PerModel

    def of(self, model: str, folder: pathlib.Path, rows_at_once: int) -> LaneOptions:
        """How a version's requests wait.

        Args:
            folder: with the SavedModel. TF Serving's `batching_params.pbtxt` there counts before the command line.
            rows_at_once: how many rows the model takes little memory for; 0: any number.

        Raises:
            InputError: the file cannot be read.
        """
        options = dataclasses.replace(
            self.lane,
            max_batch_size=self.max_batch_size.of(model),
            batch_timeout_micros=self.batch_timeout_micros.of(model),
        )
        options = dataclasses.replace(options, **_of_file(folder / FILE))
        return dataclasses.replace(options, max_batch_size=min(options.max_batch_size, rows_at_once or 1 << 62))


def _of_file(path: pathlib.Path) -> dict[str, Any]:
    """What TF Serving's file says of what there is here as well; empty without one."""
    if not path.exists():
        return {}
    try:
        said = text_format.Parse(path.read_text(encoding="utf-8"), _message())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: is not TF Serving's BatchingParameters: {error}. Correct it, or remove it."
        ) from None
    names = {"max_batch_size": 1, "batch_timeout_micros": 0, "num_batch_threads": 1}
    for name, least in names.items():
        if said.HasField(name) and getattr(said, name).value < least:
            raise InputError(f"{path}: {name} must be at least {least}. Received: {getattr(said, name).value}")
    found = {name: int(getattr(said, name).value) for name in names if said.HasField(name)}
    if "num_batch_threads" in found:
        found["threads"] = found.pop("num_batch_threads")
    return {"batches_foreign": True, **found}


def _message() -> Message:
    """An empty tensorflow.serving.BatchingParameters, which tensorflow-serving-api leaves out (session_bundle_config.proto)."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(
        name="batching_parameters.proto",
        package="trainyard.serving",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    for number, (name, kind) in _WRAPPED.items():
        message.field.add(name=name, number=number, label=1, type=11, type_name=f".google.protobuf.{kind}")
    message.field.add(name="allowed_batch_sizes", number=6, label=3, type=3)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("trainyard.serving.BatchingParameters"))()
