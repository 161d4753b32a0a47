from __future__ import annotations

import json
import pathlib
import time
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import border
from components.artifacts import BASELINE_FILE, ROWS_IN, ROWS_OUT, Artifacts, measured


class Executor(base_executor.BaseExecutor):
    """Writes `baseline.json`: every metric of the task, or why there is none."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Reads `examples` and `schema`; writes `baseline`.

        Raises:
            InputError: the label does not fit the task.
        """
        from components.baseline.config import BaselineConfig
        from components.baseline.measuring import measure
        from components.schema import read_schema

        self._log_startup(input_dict, output_dict, exec_properties)
        config = border.load(BaselineConfig, exec_properties["config"])
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["baseline"]))
        with measured(output_dict) as rows:
            started = time.monotonic()
            found = measure(examples, schema, config)
            found["seconds"] = round(time.monotonic() - started, 2)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / BASELINE_FILE).write_text(json.dumps(found, indent=1, allow_nan=False), encoding="utf-8")
            rows[ROWS_IN] = rows[ROWS_OUT] = found["rows"]
