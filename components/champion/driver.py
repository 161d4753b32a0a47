"""Looks the champion up before the cache is asked."""

from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.portable import data_types

from components.drivers import PropertyDriver
from components.store_errors import store_errors

NO_CHAMPION = "none"


class Driver(PropertyDriver):
    """Sets the exec property `stable_release` to `<version>:<digest>` of the stable release, or to `none`."""

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        properties = execution_info.exec_properties
        return {"stable_release": stable_release(str(properties["store_uri"]), str(properties["model_name"]))}


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
