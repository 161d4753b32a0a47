from __future__ import annotations

from tfx.dsl.components.base import base_driver as component_base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from components.data_quality import waivers


class Driver(component_base_driver.BaseDriver, base_driver.BaseDriver):
    """Puts the waivers that are in force today into the cache key: one that has expired must not be honoured from the cache."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        component_base_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        output = driver_output_pb2.DriverOutput()
        file = waivers.beside(str(execution_info.exec_properties["suite_file"]))
        output.exec_properties["waivers"].string_value = waivers.digest(file)
        return output
