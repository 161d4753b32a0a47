from __future__ import annotations

import pathlib
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import Artifacts, measured
from components.champion.executor import copy_release


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
            copy_release(exec_properties["store_uri"], name, version, target)
