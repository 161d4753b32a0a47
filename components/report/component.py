"""Report: one HTML page about the run that made its inputs."""

from __future__ import annotations

from typing import Any, ClassVar

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import component_spec, standard_artifacts
from tfx.types.channel import BaseChannel, Channel

from components.artifacts import BaselineMetrics, DataDrift, DataQualityReport, RunReport
from components.report import executor


class ReportSpec(component_spec.ComponentSpec):
    """Everything but the examples is optional: the page shows what there is."""

    PARAMETERS: ClassVar[dict[str, Any]] = {
        "workload": component_spec.ExecutionParameter(type=str),
        "pipeline_root": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: ClassVar[dict[str, Any]] = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
        "anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies, optional=True),
        "data_quality": component_spec.ChannelParameter(type=DataQualityReport, optional=True),
        "drift": component_spec.ChannelParameter(type=DataDrift, optional=True),
        "transform_graph": component_spec.ChannelParameter(type=standard_artifacts.TransformGraph, optional=True),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "model_run": component_spec.ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "baseline": component_spec.ChannelParameter(type=BaselineMetrics, optional=True),
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation, optional=True),
        "model_blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing, optional=True),
        "infra_blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing, optional=True),
        "pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel, optional=True),
    }
    OUTPUTS: ClassVar[dict[str, Any]] = {"report": component_spec.ChannelParameter(type=RunReport)}


class Report(base_component.BaseComponent):
    """Writes `index.html`: verdict, data, training, evaluation, timings and lineage of one run; and `model_card.md`.

    Example:
        Report(
            workload=workload.model_dump_json(),
            pipeline_root=pipeline_root,
            examples=example_gen.outputs["examples"],
            evaluation=evaluator.outputs["evaluation"],
        )
    """

    SPEC_CLASS = ReportSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        workload: str,
        pipeline_root: str,
        examples: BaseChannel,
        statistics: BaseChannel | None = None,
        anomalies: BaseChannel | None = None,
        data_quality: BaseChannel | None = None,
        drift: BaseChannel | None = None,
        transform_graph: BaseChannel | None = None,
        model: BaseChannel | None = None,
        model_run: BaseChannel | None = None,
        champion: BaseChannel | None = None,
        baseline: BaseChannel | None = None,
        evaluation: BaseChannel | None = None,
        model_blessing: BaseChannel | None = None,
        infra_blessing: BaseChannel | None = None,
        pushed_model: BaseChannel | None = None,
    ) -> None:
        """Wires the page to what it shows.

        Args:
            workload: JSON of the whole Workload model.
            pipeline_root: the pipeline's artifact root, where gates keep their evidence.
            examples: the data of the run; the other channels are what the later components made of it.
        """
        spec = ReportSpec(
            workload=workload,
            pipeline_root=pipeline_root,
            examples=examples,
            statistics=statistics,
            anomalies=anomalies,
            data_quality=data_quality,
            drift=drift,
            transform_graph=transform_graph,
            model=model,
            model_run=model_run,
            champion=champion,
            baseline=baseline,
            evaluation=evaluation,
            model_blessing=model_blessing,
            infra_blessing=infra_blessing,
            pushed_model=pushed_model,
            report=Channel(type=RunReport),
        )
        super().__init__(spec=spec)
