from __future__ import annotations

import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import Artifacts, measured
from components.champion.artifact import CHAMPION_VERSION
from components.champion.driver import NO_CHAMPION, stable_release
from components.served_model import SERVING_FOLDER
from components.store_errors import store_errors
from model_store import KERAS_FILE, RELEASE_FILE, VARIANTS_FOLDER, ModelStore, StoreError
from spec.errors import InputError

# Who judges a release, or begins with its weights, asks the model itself.
_LEFT_OUT = (KERAS_FILE, VARIANTS_FOLDER)


class Executor(base_executor.BaseExecutor):
    """Copies the verified stable release into the artifact."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes `champion`.

        Raises:
            InputError: the stable release is not what was published; the message says which file.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        champion = artifact_utils.get_single_instance(output_dict["champion"])
        store_uri, model_name = exec_properties["store_uri"], exec_properties["model_name"]
        found = exec_properties.get("stable_release") or stable_release(store_uri, model_name)
        pathlib.Path(champion.uri).mkdir(parents=True, exist_ok=True)
        with measured(output_dict):
            version = 0 if found == NO_CHAMPION else int(found.partition(":")[0])
            if version:
                copy_release(store_uri, model_name, version, pathlib.Path(champion.uri), _fetch)
            champion.set_int_custom_property(CHAMPION_VERSION, version)


def copy_release(
    store_uri: str,
    model_name: str,
    version: int,
    target: pathlib.Path,
    fetch: Callable[[ModelStore, str, int, str], pathlib.Path] | None = None,
) -> None:
    """Copies a release's verified SavedModel to `<target>/Format-Serving`, and its manifest beside it.

    What is left out: `model.keras`, and compressed variants.

    Raises:
        InputError: the release is gone or damaged.
    """
    # Beside its place, so that it gets there without another copy.
    with store_errors(), tempfile.TemporaryDirectory(dir=target) as folder:
        store = ModelStore(store_uri)
        release = store.release(model_name, version)
        fetched = (fetch or _fetched)(store, model_name, version, folder)
        shutil.rmtree(target / SERVING_FOLDER, ignore_errors=True)
        fetched.rename(target / SERVING_FOLDER)
    (target / SERVING_FOLDER / RELEASE_FILE).unlink(missing_ok=True)
    (target / RELEASE_FILE).write_text(json.dumps(release.as_dict(), indent=1, sort_keys=True), encoding="utf-8")


def _fetched(store: ModelStore, model_name: str, version: int, folder: str) -> pathlib.Path:
    return store.fetch(model_name, version, folder, without=_LEFT_OUT)


def _fetch(store: ModelStore, model_name: str, version: int, folder: str) -> pathlib.Path:
    try:
        return _fetched(store, model_name, version, folder)
    except StoreError as error:
        if isinstance(error.__cause__, OSError):
            raise
        advice = f"Or make another release stable: trainyard release rollback {model_name}"
        raise InputError(f"the champion cannot be compared with: {error} {advice}") from error
