from __future__ import annotations

from tfx.dsl.components.base import base_driver as component_base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from components import border
from components.ingestion import sources
from spec.workload import BatchInput


class Driver(component_base_driver.BaseDriver, base_driver.BaseDriver):
    """Finds the files when the node runs, and puts the digest of their content into the cache key."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        component_base_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        config = border.load(BatchInput, execution_info.exec_properties["input_config"])
        found = sources.files_at(config.uri, images=config.format == "images")
        output = driver_output_pb2.DriverOutput()
        output.exec_properties["fingerprint"].string_value = found.digest
        output.exec_properties["files"].string_value = border.dump(found.files)
        return output
