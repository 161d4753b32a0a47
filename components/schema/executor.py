from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

from google.protobuf import text_format
from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import measured
from components.schema._schema import FILE_NAME, read_schema


class Executor(base_executor.BaseExecutor):
    """Checks that the file is a schema, and copies it, less what is left out."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        source = pathlib.Path(exec_properties["schema_file"])
        left_out = json.loads(exec_properties["left_out"])
        schema = read_schema(str(source.parent), left_out)
        with measured(output_dict):
            target = pathlib.Path(artifact_utils.get_single_uri(output_dict["schema"]))
            target.mkdir(parents=True, exist_ok=True)
            if left_out:
                (target / FILE_NAME).write_text(text_format.MessageToString(schema, as_utf8=True), encoding="utf-8")
            else:
                shutil.copyfile(source, target / FILE_NAME)
