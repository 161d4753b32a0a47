"""Model status and metadata as TF Serving's protos; REST returns them as JSON."""

from __future__ import annotations

from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow.core.protobuf import error_codes_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from serving.errors import NotFoundError
from serving.models.manager import ModelManager
from serving.models.servable import Servable

SIGNATURE_DEF = "signature_def"


def status_response(
    manager: ModelManager, model: str, version: int | None = None, label: str | None = None
) -> get_model_status_pb2.GetModelStatusResponse:
    """The status of all versions of a model, newest first, or of one.

    Raises:
        NotFoundError: there is no such model, version or label.
    """
    served = manager.model(model)
    if label is not None:
        version = manager.find(model, label=label)[0].version
    statuses = served.statuses
    if version is not None:
        if version not in statuses:
            raise NotFoundError(f"{model} version {version} is not known here. Known: {sorted(statuses) or 'none'}")
        statuses = {version: statuses[version]}
    response = get_model_status_pb2.GetModelStatusResponse()
    for number in sorted(statuses, reverse=True):
        status = statuses[number]
        entry = response.model_version_status.add(version=number)
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
        entry.status.error_code = error_codes_pb2.Code.Value(status.error_code)
        entry.status.error_message = status.error_message
    return response


def signature_def_map(servable: Servable) -> get_model_metadata_pb2.SignatureDefMap:
    """The signatures of a loaded version."""
    return get_model_metadata_pb2.SignatureDefMap(signature_def=servable.signature_defs)


def metadata_response(servable: Servable) -> dict[str, Any]:
    """The JSON of /metadata, in TF Serving's format."""
    spec = {"name": servable.model, "signature_name": "", "version": str(servable.version)}
    return {"model_spec": spec, "metadata": {SIGNATURE_DEF: to_json(signature_def_map(servable))}}


def to_json(message: Message) -> dict[str, Any]:
    """A proto as TF Serving writes it: with the original field names and with defaults."""
    document: dict[str, Any] = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return document
