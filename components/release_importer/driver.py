from __future__ import annotations

from tfx.dsl.components.base import base_driver as component_base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from components.store_errors import store_errors
from model_store import ModelStore


class Driver(component_base_driver.BaseDriver, base_driver.BaseDriver):
    """Sets the exec property `resolved` to `<version>:<digest>`."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        component_base_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        properties = execution_info.exec_properties
        with store_errors():
            store = ModelStore(str(properties["store_uri"]))
            release = store.resolve(str(properties["model_name"]), str(properties["release"]))
        output = driver_output_pb2.DriverOutput()
        output.exec_properties["resolved"].string_value = f"{release.version}:{release.digest}"
        return output
