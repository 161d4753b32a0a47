from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.portable import data_types

from components.drivers import PropertyDriver
from components.store_errors import store_errors
from model_store import ModelStore
from spec.errors import InputError


class Driver(PropertyDriver):
    """Sets the exec property `resolved` to `<version>:<digest>`.

    The release is looked up when the run begins: hours of training may be of no use without it.
    """

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        properties = execution_info.exec_properties
        name, field = str(properties["model_name"]), str(properties["field"])
        try:
            with store_errors():
                release = ModelStore(str(properties["store_uri"])).resolve(name, str(properties["release"]))
        except InputError as error:
            if not field:
                raise
            raise InputError(
                f"{field}: {error.problem} Release it (`trainyard run {name}`, then `trainyard release promote {name} 1`), "
                "or name another release."
            ) from error
        return {"resolved": f"{release.version}:{release.digest}"}
