"""The base of our drivers: what is looked up when a node runs, before the cache is asked, is part of the cache's key."""

from __future__ import annotations

import abc
from collections.abc import Mapping

from tfx.dsl.components.base import base_driver as component_base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2


class PropertyDriver(component_base_driver.BaseDriver, base_driver.BaseDriver):
    """Sets exec properties. It is both of TFX's kinds of driver, because a component's class takes one and the launcher the other."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        component_base_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)
        self._metadata = metadata_handle

    @abc.abstractmethod
    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        """The exec properties to set, by name."""

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        output = driver_output_pb2.DriverOutput()
        for name, value in self.properties(execution_info).items():
            if isinstance(value, int):
                output.exec_properties[name].int_value = value
            else:
                output.exec_properties[name].string_value = value
        return output
