from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.portable import data_types

from components import border
from components.drivers import PropertyDriver
from components.ingestion import sources
from spec.workload import BatchInput


class Driver(PropertyDriver):
    """Finds the files when the node runs, and puts the digest of their content into the cache key."""

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        config = border.load(BatchInput, execution_info.exec_properties["input_config"])
        found = sources.files_at(config.uri, images=config.format == "images")
        return {"fingerprint": found.digest, "files": border.dump(found.files)}
