from __future__ import annotations

import pathlib
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components.artifacts import ROWS_IN, ROWS_OUT, measured
from components.columnar import count_rows, decode_splits
from components.gates import CheckResult, GateResult, Severity, insist_on_pass
from tests.added_component.record import RECORD


class Executor(base_executor.BaseExecutor):
    """Counts the rows of all splits, and writes `gate.json`."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        folder = pathlib.Path(artifact_utils.get_single_uri(output_dict["row_count"]))
        folder.mkdir(parents=True, exist_ok=True)
        with measured(output_dict) as rows:
            many = sum(count_rows(examples.uri, split) for split in decode_splits(examples.split_names))
            usual = exec_properties["usual"]
            checks = (
                CheckResult("there are rows", many > 0, message=f"{many:,} rows"),
                CheckResult("as many as usual", many >= usual, Severity.WARNING, f"{many:,} rows, {usual:,} are usual"),
            )
            result = GateResult(RECORD.id, checks)
            (folder / "gate.json").write_text(result.to_json(), encoding="utf-8")
            rows[ROWS_IN] = rows[ROWS_OUT] = many
        insist_on_pass(result, self._context, exec_properties["pipeline_root"])
