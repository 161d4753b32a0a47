from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border
from components.graph import Graph
from components.ingestion import driver, executor
from spec.workload import Ingestion


class ColumnarExampleGenSpec(ComponentSpec):
    PARAMETERS = {
        "input_config": ExecutionParameter(type=str),
        "span": ExecutionParameter(type=int),
        "fingerprint": ExecutionParameter(type=str, optional=True),
        "spans": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}


class ColumnarExampleGen(base_beam_component.BaseBeamComponent):
    """Reads a rolling window of spans and writes Examples as Parquet, typed by the schema.

    The driver finds the span's files and hashes their content into the cache key: a changed byte is read again, a
    touched modification time is not.
    """

    SPEC_CLASS = ColumnarExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(self, schema: types.BaseChannel, input_config: Ingestion, span: int) -> None:
        """Args:
        schema: types, presence and the label's classes.
        input_config: what to read and how to divide it.
        span: the newest span to read; -1: the newest there is when the node runs.
        """
        super().__init__(
            ColumnarExampleGenSpec(
                schema=schema,
                input_config=border.dump(input_config),
                span=span,
                fingerprint="",
                spans="",
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )


def node(graph: Graph) -> ColumnarExampleGen:
    ingestion = graph.workload.ingestion(graph.site.data_root)
    return ColumnarExampleGen(graph.outputs["schema"], ingestion, graph.span)
