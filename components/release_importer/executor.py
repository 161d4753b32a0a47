from __future__ import annotations

import json
import pathlib
import shutil
import tempfile
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import Artifacts, measured
from components.served_model import SERVING_FOLDER
from components.store_errors import store_errors
from model_store import RELEASE_FILE, ModelStore


class Executor(base_executor.BaseExecutor):
    """Verifies the release's bytes and copies them into the artifact."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes `model`: `Format-Serving/` and `release.json`.

        Raises:
            InputError: the release is gone, or is not what was published.
        """
        target = pathlib.Path(artifact_utils.get_single_uri(output_dict["model"]))
        target.mkdir(parents=True, exist_ok=True)
        name, version = exec_properties["model_name"], int(exec_properties["resolved"].partition(":")[0])
        with measured(output_dict):
            with store_errors(), tempfile.TemporaryDirectory(dir=self._get_tmp_dir()) as folder:
                store = ModelStore(exec_properties["store_uri"])
                release = store.release(name, version)
                shutil.copytree(store.fetch(name, version, folder), target / SERVING_FOLDER, dirs_exist_ok=True)
            (target / SERVING_FOLDER / RELEASE_FILE).unlink(missing_ok=True)
            manifest = json.dumps(release.as_dict(), indent=1, sort_keys=True)
            (target / RELEASE_FILE).write_text(manifest, encoding="utf-8")
