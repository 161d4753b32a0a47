"""A node's part of the TFX IR as an argument for its pod: small enough, and the same on every machine.

The IR is written as JSON with sorted keys, the checkout's own folders replaced by names, compressed by bzip2 and base64.
bzip2 because its output depends on its input alone: zlib's differs between implementations (zlib, zlib-ng), and with
it the file that the same input compiles to.
"""

from __future__ import annotations

import base64
import bz2
import json
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format
from tfx.proto.orchestration import executable_spec_pb2, metadata_pb2, pipeline_pb2

from spec import home

# json_format looks the types inside Any up by name: their modules must be loaded.
_TYPES_IN_ANY = (executable_spec_pb2, metadata_pb2)


def places() -> dict[str, str]:
    """Placeholder -> folder of this checkout or image; the innermost first."""
    return {
        "@trainyard-workloads@": str(home.workloads_root()),
        "@trainyard-schemas@": str(home.schemas_root()),
        "@trainyard-root@": str(home.ROOT),
    }


def node_ids(pipeline: pipeline_pb2.Pipeline) -> list[str]:
    """The nodes in the order of the graph."""
    return [node.pipeline_node.node_info.id for node in pipeline.nodes]


def part_of(pipeline: pipeline_pb2.Pipeline, node_id: str) -> pipeline_pb2.Pipeline:
    """A pipeline with one node: what the launcher needs to run it."""
    part = pipeline_pb2.Pipeline()
    part.CopyFrom(pipeline)
    del part.nodes[:]
    part.nodes.extend(node for node in pipeline.nodes if node.pipeline_node.node_info.id == node_id)
    deployment = pipeline_pb2.IntermediateDeploymentConfig()
    pipeline.deployment_config.Unpack(deployment)
    for specs in (deployment.executor_specs, deployment.custom_driver_specs, deployment.node_level_platform_configs):
        for other in [key for key in specs if key != node_id]:
            del specs[other]
    deployment.ClearField("metadata_connection_config")
    part.deployment_config.Pack(deployment)
    return part


def encode(part: pipeline_pb2.Pipeline) -> str:
    """The argument, for `decode` on this machine or another."""
    named = _replace(json_format.MessageToDict(part), {path: name for name, path in places().items()})
    text = json.dumps(named, sort_keys=True, separators=(",", ":"))
    return base64.b64encode(bz2.compress(text.encode())).decode()


def readable(argument: str) -> dict[str, Any]:
    """The JSON inside an argument, with placeholders for folders: for people, and for the lint."""
    read: dict[str, Any] = json.loads(bz2.decompress(base64.b64decode(argument, validate=True)))
    return read


def decode(argument: str) -> pipeline_pb2.Pipeline:
    """The pipeline with this node, with this machine's folders filled in.

    Raises:
        ValueError: it was not made by `encode`.
    """
    try:
        return json_format.ParseDict(_replace(readable(argument), places()), pipeline_pb2.Pipeline())
    except (OSError, json_format.ParseError) as error:
        raise ValueError(f"not a node of a compiled pipeline: {error}") from error


def runtime_defaults(part: pipeline_pb2.Pipeline) -> dict[str, Any]:
    """A node's runtime parameters by name, with their defaults."""
    found = {}
    for value in part.nodes[0].pipeline_node.parameters.parameters.values():
        if value.HasField("runtime_parameter"):
            default = value.runtime_parameter.default_value
            found[value.runtime_parameter.name] = getattr(default, default.WhichOneof("value"))
    return found


def pipeline_root(part: pipeline_pb2.Pipeline) -> str:
    """Where the pipeline's artifacts lie, whether or not runtime parameters are filled in."""
    root = part.runtime_spec.pipeline_root
    filled_in = root.HasField("field_value")
    return str((root.field_value if filled_in else root.runtime_parameter.default_value).string_value)


def node_context(part: pipeline_pb2.Pipeline) -> str:
    """Name of the MLMD context that all executions of the node share: `<pipeline>.<node>`."""
    contexts = part.nodes[0].pipeline_node.contexts.contexts
    return next(str(one.name.field_value.string_value) for one in contexts if one.type.name == "node")


def _replace(value: Any, names: Mapping[str, str]) -> Any:
    """Replaces folders in every string, JSON inside of JSON included."""
    if isinstance(value, dict):
        return {key: _replace(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replace(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    for old, new in names.items():
        value = value.replace(old + "/", new + "/")
        value = new if value == old else value
    return value
