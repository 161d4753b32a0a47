from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border
from components.artifacts import DataDrift
from components.drift import driver, executor
from components.graph import Graph
from components.tasks import find
from spec.workload import Drift


class DriftDetectorSpec(ComponentSpec):
    PARAMETERS = {
        "allowed": ExecutionParameter(type=str),
        "label": ExecutionParameter(type=str),
        "pipeline_root": ExecutionParameter(type=str),
        "baseline": ExecutionParameter(type=str, optional=True),
        "baseline_name": ExecutionParameter(type=str, optional=True),
        "baseline_span": ExecutionParameter(type=str, optional=True),
        "baseline_verdict": ExecutionParameter(type=str, optional=True),
        "refused": ExecutionParameter(type=str, optional=True),
        "champion_of": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"drift": ChannelParameter(type=DataDrift)}


class DriftDetector(base_component.BaseComponent):
    """Compares the newest span with the last accepted one, column by column; a drift beyond a critical limit stops the run.

    The reference is the latest earlier span that the data gates did not refuse, so the same damage delivered twice is refused
    twice. It is read from the window if it is there, otherwise from the profile that an earlier run left. If only spans with an
    unknown verdict are left, the reference is one of them, and the findings say so. A first span has no reference, and passes. If
    `champion_of` is given and that model has a stable release, the reference is the newest span that the release was trained on.

    Args:
        examples: the window; the newest span in it is looked at.
        schema: says which whole numbers are names.
        allowed: limits, slices and rows needed.
        label: the column to predict; its drift is a label shift.
        pipeline_root: where evidence is kept when the gate stops a run.
        champion_of: (URI of the model store, model), to compare with what its stable release was trained on.

    Example:
        DriftDetector(
            examples=example_gen.outputs["examples"],
            schema=schema.outputs["schema"],
            allowed=Drift(),
            label="big_tipper",
            pipeline_root=pipeline_root,
        )
    """

    SPEC_CLASS = DriftDetectorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        allowed: Drift,
        label: str,
        pipeline_root: str,
        champion_of: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(
            DriftDetectorSpec(
                examples=examples,
                schema=schema,
                allowed=border.dump(allowed),
                label=label,
                pipeline_root=pipeline_root,
                baseline="",
                baseline_name="",
                baseline_span="",
                baseline_verdict="",
                refused="",
                champion_of=border.dump(champion_of) if champion_of else "",
                drift=types.Channel(type=DataDrift),
            )
        )


def node(graph: Graph) -> DriftDetector:
    workload, site = graph.workload, graph.site
    allowed = workload.quality.drift
    if not find(workload.task)(options=workload.task_options).learns_label:
        # The label judges alone: that columns show what it says, such as which rows are unusual, gives nothing away.
        allowed = allowed.model_copy(update={"leakage": 1.0, "association": 1.0})
    reads_champion = allowed.reference == "champion"
    return DriftDetector(
        graph.outputs["examples"],
        graph.outputs["schema"],
        allowed,
        label=workload.data.label_column or "",
        pipeline_root=graph.root,
        champion_of=(site.store_uri, workload.name) if reads_champion else None,
    )
