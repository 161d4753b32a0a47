from __future__ import annotations

import pathlib
from typing import Any

from tfx.types import artifact_utils

from components.artifacts import Artifacts
from components.release_importer import executor
from components.served_model import SERVING_FOLDER, ServedModel
from components.tasks import find
from spec.errors import InputError


class Executor(executor.Executor):
    """Copies the release that judges, and asks the task whether it can: before anything is trained."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Writes `model`, as ReleaseImporter does.

        Raises:
            InputError: the release is gone, is not what was published, or is no judge for the task.
        """
        super().Do(input_dict, output_dict, exec_properties)
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["model"])) / SERVING_FOLDER
        if problem := find(exec_properties["task"]).objection_to_judge(ServedModel.read(folder)):
            name = f"{exec_properties['model_name']}@{exec_properties['release']}"
            raise InputError(f"evaluation.judge: {name} {problem} Name another.")
