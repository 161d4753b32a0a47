from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.graph import Graph
from tests.added_component import executor


class RowCountResult(types.Artifact):
    """`gate.json`."""

    TYPE_NAME = "RowCountResult"


class RowCountSpec(ComponentSpec):
    PARAMETERS = {"usual": ExecutionParameter(type=int), "pipeline_root": ExecutionParameter(type=str)}
    INPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"row_count": ChannelParameter(type=RowCountResult)}


class RowCount(base_component.BaseComponent):
    """Stops a run without rows, and warns of fewer than usual."""

    SPEC_CLASS = RowCountSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, examples: types.BaseChannel, usual: int, pipeline_root: str) -> None:
        result = types.Channel(type=RowCountResult)
        super().__init__(RowCountSpec(examples=examples, usual=usual, pipeline_root=pipeline_root, row_count=result))


def node(graph: Graph) -> RowCount:
    return RowCount(graph.outputs["examples"], usual=1_000_000, pipeline_root=graph.root)
