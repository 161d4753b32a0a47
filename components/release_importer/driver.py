from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.portable import data_types

from components.drivers import PropertyDriver
from components.store_errors import store_errors
from model_store import ModelStore


class Driver(PropertyDriver):
    """Sets the exec property `resolved` to `<version>:<digest>`."""

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        properties = execution_info.exec_properties
        with store_errors():
            store = ModelStore(str(properties["store_uri"]))
            release = store.resolve(str(properties["model_name"]), str(properties["release"]))
        return {"resolved": f"{release.version}:{release.digest}"}
