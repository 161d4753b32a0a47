"""Report: one HTML page about the run that made its inputs."""

from __future__ import annotations

from typing import Any, ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.types.channel import BaseChannel, Channel

from components import border
from components.artifacts import RunReport
from components.graph import Graph, with_inputs
from components.report import executor
from spec.workload import Workload


class ReportSpec(component_spec.ComponentSpec):
    """Needs the examples alone: what else there is to tell of comes as further inputs (`with_inputs`)."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        "workload": component_spec.ExecutionParameter(type=str),
        "pipeline_root": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {"report": component_spec.ChannelParameter(type=RunReport)}


class Report(base_component.BaseComponent):
    """Writes `index.html`: verdict, data, training, evaluation, timings and lineage of one run; and `model_card.html`.

    Example:
        Report(
            workload=workload,
            pipeline_root=pipeline_root,
            examples=example_gen.outputs["examples"],
            evaluation=evaluator.outputs["evaluation"],
        )
    """

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        workload: Workload,
        pipeline_root: str,
        examples: BaseChannel,
        **made: BaseChannel,
    ) -> None:
        """Wires the page to what it shows.

        Args:
            pipeline_root: the pipeline's artifact root, where gates keep their evidence.
            made: what later components made of it, by the names among a run's artifacts.
        """
        spec = with_inputs(ReportSpec, made)(
            workload=border.dump(workload),
            pipeline_root=pipeline_root,
            examples=examples,
            report=Channel(type=RunReport),
            **made,
        )
        super().__init__(spec=spec)


def node(graph: Graph) -> Report:
    return Report(workload=graph.workload, pipeline_root=graph.root, **graph.reported())
