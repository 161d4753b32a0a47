from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border
from components.artifacts import BaselineMetrics
from components.baseline import executor
from components.baseline.config import BaselineConfig
from components.graph import Graph


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
        schema: of the raw data; gives the label's classes.
    """

    SPEC_CLASS = BaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, examples: types.BaseChannel, schema: types.BaseChannel, config: BaselineConfig) -> None:
        super().__init__(
            BaselineSpec(
                examples=examples,
                schema=schema,
                config=border.dump(config),
                baseline=types.Channel(type=BaselineMetrics),
            )
        )


def node(graph: Graph) -> base_component.BaseComponent | None:
    workload = graph.workload
    label, split = workload.data.label, workload.data.split
    if label is None or workload.evaluation.baseline == "none":
        return None
    config = BaselineConfig(
        task=workload.task,
        label=label.column,
        positive_class=label.positive_class or "",
        query=workload.data.query or "",
        task_options=workload.task_options.model_dump(mode="json"),
        leave_out=tuple(name for name in (split.key, split.time, split.column, workload.data.query) if name),
    )
    return graph.after_data_gates(Baseline(graph.outputs["examples"], graph.outputs["schema"], config))
