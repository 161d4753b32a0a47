from __future__ import annotations

import dataclasses
import json

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import BaselineMetrics
from components.baseline import executor
from components.graph import Graph


@dataclasses.dataclass(frozen=True)
class BaselineConfig:
    """What is predicted, and from what.

    Attributes:
        task: binary, multiclass, regression or ranking.
        label: the label's column.
        positive_class: binary only; empty: the last of the domain.
        query: ranking only: the column whose rows are ranked against each other.
        leave_out: columns that say to which split or query a row belongs; they are not learnt from.
    """

    task: str
    label: str
    positive_class: str = ""
    query: str = ""
    leave_out: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> BaselineConfig:
        raw = json.loads(text)
        return cls(**{**raw, "leave_out": tuple(raw["leave_out"])})


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


def node(graph: Graph) -> base_component.BaseComponent | None:
    workload = graph.workload
    if workload.evaluation.baseline == "none":
        return None
    split = workload.data.split
    config = BaselineConfig(
        task=str(workload.task),
        label=workload.data.label.column,
        positive_class=workload.data.label.positive_class or "",
        query=workload.data.query or "",
        leave_out=tuple(name for name in (split.key, split.time, split.column, workload.data.query) if name),
    )
    return graph.after_data_gates(Baseline(graph.outputs["examples"], graph.outputs["schema"], config))
