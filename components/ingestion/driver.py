from __future__ import annotations

from tfx.dsl.components.base import base_driver as component_base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver, data_types
from tfx.proto.orchestration import driver_output_pb2

from components import border
from components.ingestion import sources
from spec.workload import Ingestion


class Driver(component_base_driver.BaseDriver, base_driver.BaseDriver):
    """Finds the window's files when the node runs, and puts their digests into the cache key."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        component_base_driver.BaseDriver.__init__(self, metadata_handle)
        base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: data_types.ExecutionInfo) -> driver_output_pb2.DriverOutput:
        config = border.load(Ingestion, execution_info.exec_properties["input_config"])
        span = int(execution_info.exec_properties["span"])
        if span < 0:
            span = sources.newest_span(config.uri)
        window = sources.resolve_window(config.uri, span, config.window, config.format == "images")
        output = driver_output_pb2.DriverOutput()
        output.exec_properties["span"].int_value = span
        output.exec_properties["fingerprint"].string_value = ",".join(one.digest for one in window)
        output.exec_properties["spans"].string_value = border.dump(
            [{"span": one.number, "digest": one.digest, "files": one.files, "version": one.version} for one in window]
        )
        return output
