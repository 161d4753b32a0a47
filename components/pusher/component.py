from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import border
from components.artifacts import ModelVariants
from components.graph import Graph, with_inputs
from components.pusher.driver import Driver
from components.pusher.executor import Executor
from components.report import card
from spec.workload import Workload


class PusherSpec(component_spec.ComponentSpec):
    """Inputs, outputs and parameters of `Pusher`; what the card tells of comes as further inputs (`with_inputs`)."""

    PARAMETERS = {
        "store_uri": component_spec.ExecutionParameter(type=str),
        "model_name": component_spec.ExecutionParameter(type=str),
        "workload": component_spec.ExecutionParameter(type=str),
        "code_revision": component_spec.ExecutionParameter(type=str),
        "code_digest": component_spec.ExecutionParameter(type=str),
        "releases_gone": component_spec.ExecutionParameter(type=int, optional=True),
    }
    INPUTS = {
        "model": component_spec.ChannelParameter(type=standard_artifacts.Model),
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "champion": component_spec.ChannelParameter(type=standard_artifacts.Model, optional=True),
        "variants": component_spec.ChannelParameter(type=ModelVariants, optional=True),
    }
    OUTPUTS = {"pushed_model": component_spec.ChannelParameter(type=standard_artifacts.PushedModel)}


class Pusher(base_component.BaseComponent):
    """Publishes a model that every gate on models blessed; what is not blessed is not pushed, and the reason is recorded.

    A publication is named by the model's bytes and its data, so that a run that starts again after a crash publishes
    once. A release that was deleted from the store since is published again, cache or not.

    Args:
        champion: that it was compared with; becomes the release's parent.
        variants: of the model; the release has them.
        made: by their names among a run's artifacts: results and blessings of the gates, and what the model card tells of.
    """

    SPEC_CLASS = PusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self,
        model: channel.BaseChannel,
        examples: channel.BaseChannel,
        store_uri: str,
        workload: Workload,
        code_revision: str = "",
        code_digest: str = "",
        champion: channel.BaseChannel | None = None,
        variants: channel.BaseChannel | None = None,
        **made: channel.BaseChannel,
    ) -> None:
        super().__init__(
            with_inputs(PusherSpec, made)(
                model=model,
                examples=examples,
                champion=champion,
                variants=variants,
                **made,
                store_uri=store_uri,
                model_name=workload.name,
                workload=border.dump(workload),
                code_revision=code_revision,
                code_digest=code_digest,
                releases_gone=0,  # the driver fills it in
                pushed_model=channel.Channel(type=standard_artifacts.PushedModel),
            )
        )


def node(graph: Graph) -> Pusher:
    made, site = graph.outputs, graph.site
    told = {name: made[name] for name in card.NEEDS if name in made}
    return Pusher(
        model=made["model"],
        examples=made["examples"],
        champion=made["champion"],
        variants=made.get("variants"),
        workload=graph.workload,
        store_uri=site.store_uri,
        code_revision=site.code_revision,
        code_digest=site.code_digest,
        **(graph.gated() | told),
    )
