from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec

from components.graph import Graph
from components.statistics import executor


class StatisticsGenSpec(ComponentSpec):
    PARAMETERS: dict[str, object] = {}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics)}


class StatisticsGen(base_beam_component.BaseBeamComponent):
    """TFDV statistics of each split of columnar Examples, in TFX's own file layout."""

    SPEC_CLASS = StatisticsGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, examples: types.BaseChannel, schema: types.BaseChannel) -> None:
        super().__init__(
            StatisticsGenSpec(
                examples=examples, schema=schema, statistics=types.Channel(type=standard_artifacts.ExampleStatistics)
            )
        )


def node(graph: Graph) -> StatisticsGen:
    return StatisticsGen(graph.outputs["examples"], graph.outputs["schema"])
