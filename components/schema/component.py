from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border
from components.graph import Graph
from components.schema import executor, left_out, read_schema


class SchemaImporterSpec(ComponentSpec):
    PARAMETERS = {
        "schema_file": ExecutionParameter(type=str),
        "schema_digest": ExecutionParameter(type=str),
        "left_out": ExecutionParameter(type=str),
    }
    INPUTS: dict[str, ChannelParameter] = {}
    OUTPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}


class SchemaImporter(base_component.BaseComponent):
    """Brings a reviewed schema file into the pipeline.

    TFX's own ImportSchemaGen caches by path and so misses edits; this one caches by content.
    """

    SPEC_CLASS = SchemaImporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, schema_file: str, left_out: Sequence[str] = ()) -> None:
        """Wires the component.

        Args:
            left_out: features to remove for everything downstream.
        """
        path = pathlib.Path(schema_file)
        super().__init__(
            SchemaImporterSpec(
                schema_file=str(path),
                schema_digest=hashlib.sha256(path.read_bytes() if path.is_file() else b"").hexdigest(),
                left_out=border.dump(left_out),
                schema=types.Channel(type=standard_artifacts.Schema),
            )
        )


def node(graph: Graph) -> SchemaImporter:
    folder = graph.site.schema_folder
    ignored = left_out(read_schema(str(folder)), graph.workload.data.ignore)
    return SchemaImporter(str(folder / "schema.pbtxt"), ignored)
