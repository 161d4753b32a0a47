from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.example_validator import executor
from components.graph import Graph


class ExampleValidatorSpec(ComponentSpec):
    PARAMETERS = {"pipeline_root": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class ExampleValidator(base_component.BaseComponent):
    """Compares statistics with the schema. TFX's own reports anomalies and passes; this one stops the run."""

    SPEC_CLASS = ExampleValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        pipeline_root: str,
    ) -> None:
        super().__init__(
            ExampleValidatorSpec(
                examples=examples,
                statistics=statistics,
                schema=schema,
                pipeline_root=pipeline_root,
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )


def node(graph: Graph) -> ExampleValidator:
    made = graph.outputs
    return ExampleValidator(made["examples"], made["statistics"], made["schema"], pipeline_root=graph.root)
