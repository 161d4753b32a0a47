"""Looks the champion up before the cache is asked."""

from __future__ import annotations

from tfx.dsl.components.base import base_driver as component_base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from components.store_errors import store_errors

NO_CHAMPION = "none"


class Driver(component_base_driver.BaseDriver, base_driver.BaseDriver):
    """Sets the exec property `stable_release` to `<version>:<digest>` of the stable release, or to `none`."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        component_base_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        properties = execution_info.exec_properties
        output = driver_output_pb2.DriverOutput()
        found = stable_release(str(properties["store_uri"]), str(properties["model_name"]))
        output.exec_properties["stable_release"].string_value = found
        return output


def stable_release(store_uri: str, model_name: str) -> str:
    """`<version>:<digest>` of the release that the label stable points at, or `none`.

    Raises:
        InputError: the label points at a release that is gone or damaged.
    """
    from model_store import STABLE, ModelStore

    with store_errors():
        store = ModelStore(store_uri)
        if STABLE not in store.labels(model_name):
            return NO_CHAMPION
        release = store.resolve(model_name, STABLE)
    return f"{release.version}:{release.digest}"
