from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border, user_code
from components.artifacts import BaselineMetrics, ItemCatalogue
from components.baseline import executor
from components.baseline.config import BaselineConfig
from components.graph import Graph
from spec.workload import GRADIENT_BOOSTING


class BaselineSpec(ComponentSpec):
    PARAMETERS = {"config": ExecutionParameter(type=str)}
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "catalogue": ChannelParameter(type=ItemCatalogue, optional=True),
        "judge": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"baseline": ChannelParameter(type=BaselineMetrics)}


class Baseline(base_component.BaseComponent):
    """Fits simple methods to the raw columns, and judges them on the rows that the model is judged on.

    Gradient boosting depends on data and schema alone: where only features or model change, it comes from the cache. The
    workload's own functions depend on its folder too. What they reach is `baseline.json`; nothing that was fitted is kept.

    Args:
        schema: of the raw data; gives the label's classes.
        catalogue: of the Catalogue, for a task that finds items; default none.
        judge: a release that judges, for tasks that need one.
    """

    SPEC_CLASS = BaselineSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        config: BaselineConfig,
        catalogue: types.BaseChannel | None = None,
        judge: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            BaselineSpec(
                examples=examples,
                schema=schema,
                catalogue=catalogue,
                judge=judge,
                config=border.dump(config),
                baseline=types.Channel(type=BaselineMetrics),
            )
        )


def node(graph: Graph) -> base_component.BaseComponent | None:
    workload = graph.workload
    label, split, methods, made = workload.data.label, workload.data.split, workload.evaluation.baseline, graph.outputs
    own = set(methods) - {GRADIENT_BOOSTING}
    if not methods or (label is None and not own):
        return None
    module = graph.site.workload_folder / "baseline.py"
    config = BaselineConfig(
        task=workload.task,
        methods=methods,
        label=workload.data.label_column or "",
        positive_class=(label and label.positive_class) or "",
        query=workload.data.query or "",
        judge=workload.evaluation.judge or "",
        task_options=workload.task_options.model_dump(mode="json"),
        leave_out=tuple(name for name in (split.key, split.time, split.column, workload.data.query) if name),
        personal_features=workload.data.personal_features,
        module_file=str(module) if own else "",
        module_digest=user_code.digest(module.parent, workload.assets) if own else "",
    )
    return graph.after_data_gates(
        Baseline(made["examples"], made["schema"], config, made.get("catalogue"), made.get("judge"))
    )
