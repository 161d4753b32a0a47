from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import DataDrift
from components.drift import driver, executor
from components.drift._config import DriftConfig


class DriftDetectorSpec(ComponentSpec):
    PARAMETERS = {
        "config": ExecutionParameter(type=str),
        "pipeline_root": ExecutionParameter(type=str),
        "baseline": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"drift": ChannelParameter(type=DataDrift)}


class DriftDetector(base_component.BaseComponent):
    """Compares the newest span with the one before it, column by column; a drift beyond a critical limit stops the run.

    The span before is taken from the window if it holds more than one span, else from the profile that an earlier run left.
    A first span has nothing to be compared with, and passes.

    Example:
        DriftDetector(
            examples=example_gen.outputs["examples"],
            schema=schema.outputs["schema"],
            config=DriftConfig(label="big_tipper"),
            pipeline_root=pipeline_root,
        )
    """

    SPEC_CLASS = DriftDetectorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(
        self, examples: types.BaseChannel, schema: types.BaseChannel, config: DriftConfig, pipeline_root: str
    ) -> None:
        super().__init__(
            DriftDetectorSpec(
                examples=examples,
                schema=schema,
                config=config.to_json(),
                pipeline_root=pipeline_root,
                baseline="",
                drift=types.Channel(type=DataDrift),
            )
        )
