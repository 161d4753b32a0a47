from __future__ import annotations

from typing import Self

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.graph import Graph
from components.release_importer.driver import Driver
from components.release_importer.executor import Executor


class ReleaseImporterSpec(component_spec.ComponentSpec):
    PARAMETERS = {
        "store_uri": component_spec.ExecutionParameter(type=str),
        "model_name": component_spec.ExecutionParameter(type=str),
        "release": component_spec.ExecutionParameter(type=str),
        "field": component_spec.ExecutionParameter(type=str),
        "task": component_spec.ExecutionParameter(type=str),
        "resolved": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class ReleaseImporter(base_component.BaseComponent):
    """Brings a verified release of the model store into the pipeline.

    The driver looks the label up when the node runs and puts version and digest into the cache key: a label that has moved
    fetches the other release, one that stands costs nothing. What a release is to be good for, a subclass's executor asks.

    Args:
        release: a label (stable, canary) or a version.
        field: of workload.yaml, which names the release; empty: none does.
        task: of the workload that uses it; empty: of none.
    """

    SPEC_CLASS = ReleaseImporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(
        self, store_uri: str, model_name: str, release: str = "stable", field: str = "", task: str = ""
    ) -> None:
        super().__init__(
            ReleaseImporterSpec(
                store_uri=store_uri,
                model_name=model_name,
                release=release,
                field=field,
                task=task,
                resolved="",  # the driver fills it in
                model=channel.Channel(type=standard_artifacts.Model),
            )
        )

    @classmethod
    def named(cls, graph: Graph, field: str, reference: str | None) -> Self | None:
        """The node for a release that a field of workload.yaml names, `<workload>@<label or version>`; None where it names none."""
        if reference is None:
            return None
        name, release = reference.split("@")
        return cls(graph.site.store_uri, name, release, field, graph.workload.task)
