from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import border
from components.artifacts import BaselineMetrics, ItemCatalogue, ModelVariants
from components.evaluator.config import EvaluationConfig
from components.evaluator.executor import Executor
from components.graph import Graph


class EvaluatorSpec(component_spec.ComponentSpec):
    PARAMETERS = {"evaluation_config": component_spec.ExecutionParameter(type=str)}
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema, optional=True),
        "baseline": component_spec.ChannelParameter(type=BaselineMetrics, optional=True),
        "catalogue": component_spec.ChannelParameter(type=ItemCatalogue, optional=True),
        "judge": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "variants": component_spec.ChannelParameter(type=ModelVariants, optional=True),
    }
    OUTPUTS = {
        "evaluation": component_spec.ChannelParameter(type=standard_artifacts.ModelEvaluation),
        "blessing": component_spec.ChannelParameter(type=standard_artifacts.ModelBlessing),
    }


class Evaluator(base_beam_component.BaseBeamComponent):
    """Judges a model on the test split, by slices, against thresholds and against the champion.

    A withheld blessing does not fail the node: the reasons are in `metrics.json` and `gate.json`.

    Args:
        examples: Parquet Examples with a test split.
        champion: of the ChampionResolver; default none.
        schema: of the raw data, whose personal columns no gallery shows; default: there is no gallery.
        baseline: what a simple method reaches on the same rows; default: the model stands alone.
        catalogue: of the Catalogue, for a task that finds items; default none.
        judge: a release that judges, for tasks that need one.
        variants: compressed variants of the model; one that does not keep to its limits withholds the blessing.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: channel.BaseChannel,
        model: channel.BaseChannel,
        config: EvaluationConfig,
        champion: channel.BaseChannel | None = None,
        schema: channel.BaseChannel | None = None,
        baseline: channel.BaseChannel | None = None,
        catalogue: channel.BaseChannel | None = None,
        judge: channel.BaseChannel | None = None,
        variants: channel.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            EvaluatorSpec(
                examples=examples,
                model=model,
                champion=champion,
                schema=schema,
                baseline=baseline,
                catalogue=catalogue,
                judge=judge,
                variants=variants,
                evaluation_config=border.dump(config),
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )


def node(graph: Graph) -> Evaluator:
    made, workload = graph.outputs, graph.workload
    return Evaluator(
        examples=made["examples"],
        model=made["model"],
        champion=made["champion"],
        schema=made["schema"],
        config=EvaluationConfig(
            task=workload.task,
            task_options=workload.task_options.model_dump(mode="json"),
            label=workload.data.label_column,
            query=workload.data.query,
            variants=workload.export.variants,
            **workload.evaluation.model_dump(),
        ),
        baseline=made.get("baseline"),
        catalogue=made.get("catalogue"),
        judge=made.get("judge"),
        variants=made.get("variants"),
    )
