from __future__ import annotations

import pathlib
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import Artifacts, measured
from components.champion.executor import copy_release
from components.served_model import SERVING_FOLDER, ServedModel
from spec.errors import InputError


class Executor(base_executor.BaseExecutor):
    """Verifies the release's bytes and copies them into the artifact."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes `model`: `Format-Serving/` and `release.json`.

        Raises:
            InputError: the release is gone, is not what was published, or is not fit for what it is to be used for.
        """
        target = pathlib.Path(artifact_utils.get_single_uri(output_dict["model"]))
        target.mkdir(parents=True, exist_ok=True)
        name, version = exec_properties["model_name"], int(exec_properties["resolved"].partition(":")[0])
        with measured(output_dict):
            copy_release(exec_properties["store_uri"], name, version, target)
        if field := exec_properties["field"]:
            model = ServedModel.read(target / SERVING_FOLDER)
            if problem := self.objection(model, exec_properties["task"]):
                raise InputError(f"{field}: {name}@{exec_properties['release']} {problem} Name another.")

    def objection(self, model: ServedModel, task: str) -> str:
        """Why the release is not fit for a workload of a task, before anything is trained; empty: it is."""
        return ""
