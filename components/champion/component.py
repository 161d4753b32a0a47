from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.champion.driver import Driver
from components.champion.executor import Executor
from components.graph import Graph


class ChampionResolverSpec(component_spec.ComponentSpec):
    PARAMETERS = {
        "store_uri": component_spec.ExecutionParameter(type=str),
        "model_name": component_spec.ExecutionParameter(type=str),
        "stable_release": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"champion": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class ChampionResolver(base_component.BaseComponent):
    """Brings the model store's stable release into the pipeline, for the Evaluator to compare with.

    Without a stable release the artifact is empty and its `champion_version` is 0. The driver looks the label up when
    the node runs and puts version and digest into the cache key: the same champion is the same artifact, so that what
    depends on it stays cached, and another one is fetched.
    """

    SPEC_CLASS = ChampionResolverSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(self, store_uri: str, model_name: str) -> None:
        super().__init__(
            ChampionResolverSpec(
                store_uri=store_uri,
                model_name=model_name,
                stable_release="",  # the driver fills it in
                champion=channel.Channel(type=standard_artifacts.Model),
            )
        )


def node(graph: Graph) -> ChampionResolver:
    return ChampionResolver(store_uri=graph.site.store_uri, model_name=graph.workload.name)
