"""DataQuality in the pipeline: a worker process reads, runs the suite, judges and renders; a failed gate stops the run."""

from __future__ import annotations

import itertools
import json
import pathlib
import sys
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact, artifact_utils

from components import border, prepared
from components.artifacts import ROWS_BY_SPAN, ROWS_IN, ROWS_OUT, measured, noted_spans
from components.columnar import decode_splits
from components.data_quality import waivers
from components.data_quality.contract import digest
from components.gates import GateResult, insist_on_pass
from spec.errors import ChangedError

EXAMPLES = "examples"
SCHEMA = "schema"
DATA_QUALITY = "data_quality"
FAIL_ON = ("critical", "warning", "never")

GATE_FILE = "gate.json"
WORKER = "components.data_quality.worker"


class DataQualityExecutor(base_executor.BaseExecutor):
    """Runs the suite on all splits together and raises GateFailed if a critical expectation is not met."""

    def Do(
        self,
        input_dict: dict[str, list[artifact.Artifact]],
        output_dict: dict[str, list[artifact.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        examples = artifact_utils.get_single_instance(input_dict[EXAMPLES])
        schema = artifact_utils.get_single_instance(input_dict[SCHEMA])
        report = artifact_utils.get_single_instance(output_dict[DATA_QUALITY])
        folder = pathlib.Path(report.uri)
        folder.mkdir(parents=True, exist_ok=True)
        with measured(output_dict) as rows:
            splits = decode_splits(examples.split_names)
            request = {
                "examples_uri": examples.uri,
                "splits": splits,
                "schema_uri": schema.uri,
                "suite_file": exec_properties["suite_file"],
                "fail_on": exec_properties["fail_on"],
                "output": str(folder),
                "run_id": (self._context.pipeline_run_id or "") if self._context else "",
                "asset": f"examples, span {examples.span or 0}",
                "spans": _spans(examples, splits),
                "keys": border.load(list[str], exec_properties["keys"]),
                "code": border.load(list[str], exec_properties["code"]),
                "left_out": border.load(list[str], exec_properties["left_out"]),
            }
            with prepared.take(WORKER) as worker:
                try:
                    count = worker.ask(request)["rows"]
                finally:
                    print(worker.log(), end="", file=sys.stderr, flush=True)
            _insist_on_contracts(exec_properties)
            result = GateResult.from_json((folder / GATE_FILE).read_text(encoding="utf-8"))
            rows[ROWS_IN] = rows[ROWS_OUT] = count
        insist_on_pass(result, self._context, exec_properties["pipeline_root"], folder)


def _insist_on_contracts(exec_properties: dict[str, Any]) -> None:
    """Raises ChangedError if suite or waivers have changed since the cache key was computed: the worker may have read the change."""
    suite = exec_properties["suite_file"]
    if digest(suite, border.load(list[str], exec_properties["code"])) != exec_properties["suite_digest"]:
        raise ChangedError(suite, "it, or what lies beside it, was edited since the run began")
    file = waivers.beside(suite)
    if waivers.digest(file) != exec_properties["waivers"]:
        raise ChangedError(str(file), "other waivers are in force than when the gate was asked")


def _spans(examples: artifact.Artifact, splits: list[str]) -> list[dict[str, Any]]:
    """The spans of the window, oldest first, with their rows in each split; one span with all rows if that is not known."""
    rows = json.loads(examples.get_string_custom_property(ROWS_BY_SPAN) or "{}")
    numbers = [number for number, _ in noted_spans(examples.get_string_custom_property("spans"))]
    if not set(splits) <= set(rows) or not numbers:
        return [{"span": int(examples.span or 0), "parts": None}]
    first = {split: [0, *itertools.accumulate(rows[split])] for split in splits}
    return [
        {"span": number, "parts": {split: [first[split][n], rows[split][n]] for split in splits}}
        for n, number in enumerate(numbers)
    ]
