from __future__ import annotations

from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components.release_importer.driver import Driver
from components.release_importer.executor import Executor


class ReleaseImporterSpec(component_spec.ComponentSpec):
    PARAMETERS = {
        "store_uri": component_spec.ExecutionParameter(type=str),
        "model_name": component_spec.ExecutionParameter(type=str),
        "release": component_spec.ExecutionParameter(type=str),
        "resolved": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}


class ReleaseImporter(base_component.BaseComponent):
    """Brings a verified release of the model store into the pipeline.

    The driver looks the label up when the node runs and puts version and digest into the cache key: a label that has moved
    fetches the other release, one that stands costs nothing.

    Args:
        release: a label (stable, canary) or a version.
        further: parameters that only a subclass has.
    """

    SPEC_CLASS = ReleaseImporterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(self, store_uri: str, model_name: str, release: str = "stable", **further: str) -> None:
        super().__init__(
            self.SPEC_CLASS(
                **further,
                store_uri=store_uri,
                model_name=model_name,
                release=release,
                resolved="",  # the driver fills it in
                model=channel.Channel(type=standard_artifacts.Model),
            )
        )
