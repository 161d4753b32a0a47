from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.portable import data_types

from components.data_quality import waivers
from components.drivers import PropertyDriver


class Driver(PropertyDriver):
    """Puts the waivers that are in force today into the cache key: an expired one must not be honoured by a cached result."""

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        file = waivers.beside(str(execution_info.exec_properties["suite_file"]))
        return {"waivers": waivers.digest(file)}
