from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import border
from components.artifacts import ModelVariants
from components.graph import Graph
from components.infra_validator.executor import Executor
from spec.workload import InfraValidation


class InfraValidatorSpec(component_spec.ComponentSpec):
    PARAMETERS = {"limits": component_spec.ExecutionParameter(type=str)}
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
        "variants": component_spec.ChannelParameter(type=ModelVariants, optional=True),
    }
    OUTPUTS = {"blessing": component_spec.ChannelParameter(type=standard_artifacts.InfraBlessing)}


class InfraValidator(base_component.BaseComponent):
    """Loads the exported model in a child process with limits, and replays rows of the test split against it.

    A withheld blessing does not fail the node: `gate.json` says why. `golden_requests.json` and `golden_answers.json`
    beside it are what was asked and answered.

    Args:
        examples: with a test split, whose first rows are the requests.
        schema: of the raw data; a changed one validates anew.
        limits: how many rows, and what the process may take.
        variants: of the model; they are loaded and asked, too.
    """

    SPEC_CLASS = InfraValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: channel.BaseChannel,
        examples: channel.BaseChannel,
        schema: channel.BaseChannel,
        limits: InfraValidation,
        variants: channel.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            InfraValidatorSpec(
                model=model,
                examples=examples,
                schema=schema,
                variants=variants,
                limits=border.dump(limits),
                blessing=channel.Channel(type=standard_artifacts.InfraBlessing),
            )
        )


def node(graph: Graph) -> InfraValidator:
    made = graph.outputs
    return InfraValidator(
        model=made["model"],
        examples=made["examples"],
        schema=made["schema"],
        limits=graph.workload.infra_validation,
        variants=made.get("variants"),
    )
