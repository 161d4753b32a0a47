"""The Evaluator, as a TFX pipeline sees it."""

from __future__ import annotations

import json

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.artifacts import BaselineMetrics
from components.evaluator.executor import Executor
from components.graph import Graph
from spec.workload import Workload


class EvaluatorSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of `Evaluator`."""

    PARAMETERS = {"evaluation_config": component_spec.ExecutionParameter(type=str)}
    INPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema, optional=True),
        "baseline": component_spec.ChannelParameter(type=BaselineMetrics, optional=True),
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
        model: exported by the Trainer.
        evaluation_config: JSON, see `EvaluationConfig.from_json`.
        champion: of the ChampionResolver; default none.
        schema: of the raw data; a changed one evaluates anew.
        baseline: what a simple method reaches on the same rows; default: the model stands alone.
    """

    SPEC_CLASS = EvaluatorSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)

    def __init__(
        self,
        examples: channel.BaseChannel,
        model: channel.BaseChannel,
        evaluation_config: str,
        champion: channel.BaseChannel | None = None,
        schema: channel.BaseChannel | None = None,
        baseline: channel.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            EvaluatorSpec(
                examples=examples,
                model=model,
                champion=champion,
                schema=schema,
                baseline=baseline,
                evaluation_config=evaluation_config,
                evaluation=channel.Channel(type=standard_artifacts.ModelEvaluation),
                blessing=channel.Channel(type=standard_artifacts.ModelBlessing),
            )
        )


def node(graph: Graph) -> Evaluator:
    made = graph.outputs
    return Evaluator(
        examples=made["examples"],
        model=made["model"],
        champion=made["champion"],
        schema=made["schema"],
        evaluation_config=_config(graph.workload),
        baseline=made.get("baseline"),
    )


def _config(workload: Workload) -> str:
    return json.dumps(
        {
            "task": str(workload.task),
            "label": workload.data.label.column,
            "query": workload.data.query or "",
            "thresholds": [t.model_dump() for t in workload.evaluation.thresholds],
            "confidence": workload.evaluation.confidence,
            "not_judged": workload.evaluation.not_judged,
            "slices": list(workload.evaluation.slices),
            "champion_metric": workload.champion_metric,
            "max_loss": workload.evaluation.champion.max_loss,
        },
        sort_keys=True,
    )
