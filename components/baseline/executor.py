from __future__ import annotations

import json
import pathlib
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import border
from components.artifacts import BASELINE_FILE, ROWS_IN, ROWS_OUT, Artifacts, measured


class Executor(base_executor.BaseExecutor):
    """Writes `baseline.json`: of each method every metric of the task, or why there is none."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        """Reads `examples`, `schema`, `catalogue` and `judge`; writes `baseline`.

        Raises:
            InputError: the label does not fit the task, or the workload's baseline.py is to be mended.
        """
        from components.baseline.config import BaselineConfig
        from components.baseline.measuring import measure
        from components.evaluator.contender import Judge
        from components.schema import read_schema
        from components.served_model import SERVING_FOLDER

        self._log_startup(input_dict, output_dict, exec_properties)
        config = border.load(BaselineConfig, exec_properties["config"])
        examples = artifact_utils.get_single_uri(input_dict["examples"])
        schema = read_schema(artifact_utils.get_single_uri(input_dict["schema"]))
        catalogues, judges = input_dict.get("catalogue") or [], input_dict.get("judge") or []
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["baseline"]))
        with measured(output_dict) as rows:
            methods = measure(
                examples,
                schema,
                config,
                pathlib.Path(catalogues[0].uri) if catalogues else None,
                Judge(pathlib.Path(judges[0].uri) / SERVING_FOLDER, config.judge) if judges else None,
            )
            folder.mkdir(parents=True, exist_ok=True)
            written = json.dumps({"methods": methods}, indent=1, allow_nan=False)
            (folder / BASELINE_FILE).write_text(written, encoding="utf-8")
            rows[ROWS_IN] = rows[ROWS_OUT] = methods[0]["rows"]
