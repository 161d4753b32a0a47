"""MLMD's client, corrected for what it does to text and order on PostgreSQL (ml-metadata 1.21).

- Text with a backslash breaks the SQL: MLMD cuts one character off each end of what libpq escaped, and libpq writes
  ` E'...'` if there is a backslash. Every error message in JSON has one (`\\n`), and what follows the E' is run as SQL.
- Artifacts requested by id come in the table's order, and an update moves a row. TFX pairs them with the ids it requested,
  so two outputs of a cached node changed places.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import ml_metadata
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from ml_metadata.proto import metadata_store_service_pb2 as service

# Stands for the backslash in the database: a private-use character of Unicode, which no text of ours contains.
STAND_IN = "\ue05c"


class PostgresqlStore(ml_metadata.MetadataStore):  # type: ignore[misc]
    """A MetadataStore on PostgreSQL that returns text unchanged, and artifacts in the order of the ids."""

    def _call(self, method_name: str, request: Message, response: Message, extra_options: Any = None) -> Any:
        if b"\\" in request.SerializeToString():
            request = copy.deepcopy(request)
            change_texts(request, lambda text: text.replace("\\", STAND_IN))
        called = super()._call(method_name, request, response, extra_options)
        if STAND_IN.encode() in response.SerializeToString():
            change_texts(response, lambda text: text.replace(STAND_IN, "\\"))
        if isinstance(response, service.GetArtifactsByIDResponse):
            place = {artifact_id: at for at, artifact_id in enumerate(request.artifact_ids)}  # type: ignore[attr-defined]
            response.artifacts.sort(key=lambda artifact: place[artifact.id])
        return called


def change_texts(message: Message, change: Callable[[str], str]) -> None:
    """Changes every string of a message in place, including map values and inner messages, but not map keys."""
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _change_map(field.message_type.fields_by_name["value"], value, change)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                change_texts(inner, change)
        elif field.type == FieldDescriptor.TYPE_STRING:
            if field.is_repeated:
                value[:] = [change(text) for text in value]
            else:
                setattr(message, field.name, change(value))


def _change_map(kind: FieldDescriptor, values: Any, change: Callable[[str], str]) -> None:
    for key in values:
        if kind.type == FieldDescriptor.TYPE_MESSAGE:
            change_texts(values[key], change)
        elif kind.type == FieldDescriptor.TYPE_STRING:
            values[key] = change(values[key])
