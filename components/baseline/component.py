from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import BaselineMetrics
from components.baseline import executor
from components.baseline.config import BaselineConfig


class BaselineSpec(ComponentSpec):
    PARAMETERS = {"config": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"baseline": ChannelParameter(type=BaselineMetrics)}


class Baseline(base_component.BaseComponent):
    """Fits scikit-learn's gradient boosting to the raw columns, and judges it on the rows that the model is judged on.

    It depends on data and schema alone: where only features or model change, it comes from the cache. What it found is
    `baseline.json`; the fitted trees are not kept.

    Args:
        examples: Parquet Examples.
        schema: of the raw data; gives the label's classes.
        config: what is predicted.
    """

    SPEC_CLASS = BaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, examples: types.BaseChannel, schema: types.BaseChannel, config: BaselineConfig) -> None:
        super().__init__(
            BaselineSpec(
                examples=examples,
                schema=schema,
                config=config.to_json(),
                baseline=types.Channel(type=BaselineMetrics),
            )
        )
