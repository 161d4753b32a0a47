from __future__ import annotations

import pathlib
import shutil
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import measured
from components.schema._schema import FILE_NAME, read_schema


class Executor(base_executor.BaseExecutor):
    """Checks that the file is a schema, and copies it."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        source = pathlib.Path(exec_properties["schema_file"])
        read_schema(str(source.parent))
        with measured(output_dict):
            target = pathlib.Path(artifact_utils.get_single_uri(output_dict["schema"]))
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / FILE_NAME)
