from __future__ import annotations

import hashlib
import pathlib
from typing import Any

from google.protobuf import text_format
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import border
from components.artifacts import Artifacts, measured
from components.schema._schema import FILE_NAME, read_schema
from spec.errors import ChangedError


class Executor(base_executor.BaseExecutor):
    """Checks that the file is a schema, and copies it without the features that are left out."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        source, expected = pathlib.Path(exec_properties["schema_file"]), exec_properties["schema_digest"]
        left_out = border.load(list[str], exec_properties["left_out"])
        schema = read_schema(str(source.parent), left_out)
        with measured(output_dict):
            target = pathlib.Path(artifact_utils.get_single_uri(output_dict["schema"]))
            target.mkdir(parents=True, exist_ok=True)
            text = source.read_bytes()
            if (now := hashlib.sha256(text).hexdigest()) != expected:
                raise ChangedError(str(source), f"the run began with {expected[:12]}, and now it is {now[:12]}")
            if left_out:
                text = text_format.MessageToString(schema, as_utf8=True).encode()
            (target / FILE_NAME).write_bytes(text)
