"""Keeps the Pusher's cache honest: what it points at lies outside the pipeline and may be deleted there."""

from __future__ import annotations

from collections.abc import Mapping

from tfx.orchestration.portable import data_types

from components.drivers import PropertyDriver
from components.store_errors import store_errors
from model_store import ModelStore

# Custom properties of PushedModel beyond TFX's own.
STORE_URI = "store_uri"
MODEL_NAME = "model_name"
MODEL_ID = "model_id"


class Driver(PropertyDriver):
    """Sets the exec property `releases_gone`: how many releases made of this model are no longer in the store.

    It is part of the cache key. While everything that was pushed is still there the number stands, and so does the
    cached push; when somebody deletes the release the number grows, and the model is published again.
    """

    def properties(self, execution_info: data_types.ExecutionInfo) -> Mapping[str, int | str]:
        properties = execution_info.exec_properties
        store_uri, model_name = str(properties["store_uri"]), str(properties["model_name"])
        (model,) = execution_info.input_dict["model"]
        with store_errors():
            present = set(ModelStore(store_uri).versions(model_name))
        gone = self._pushed_versions(store_uri, model_name, model.id) - present
        return {"releases_gone": len(gone)}

    def _pushed_versions(self, store_uri: str, model_name: str, model_id: int) -> set[int]:
        with self._mlmd_connection as handle:
            pushed = handle.store.get_artifacts_by_type("PushedModel")
        wanted = (store_uri, model_name, model_id, 1)
        versions = set()
        for artifact in pushed:
            of = artifact.custom_properties
            found = (
                of[STORE_URI].string_value,
                of[MODEL_NAME].string_value,
                of[MODEL_ID].int_value,
                of["pushed"].int_value,
            )
            if found == wanted:
                versions.add(int(of["pushed_version"].string_value))
        return versions
