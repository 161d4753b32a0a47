"""The work of DataQuality: read the examples, run the suite, judge, render."""

from __future__ import annotations

import datetime
import json
import pathlib
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact, artifact_utils

from components.artifacts import ROWS_IN, ROWS_OUT, measured
from components.columnar import decode_splits
from components.gates import GateFailed, GateResult, evidence_directory, keep_evidence

EXAMPLES = "examples"
SCHEMA = "schema"
DATA_QUALITY = "data_quality"
FAIL_ON = ("critical", "warning", "never")

GATE = "data quality"
GATE_FILE = "gate.json"
VALIDATION_FILE = "validation.json"
DATA_DOCS = "data_docs"


class DataQualityExecutor(base_executor.BaseExecutor):
    """Runs the suite on all splits together and raises GateFailed if an expectation that matters does not hold."""

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
            splits = json.loads(exec_properties.get("splits") or "null") or decode_splits(examples.split_names)
            result, count = check_examples(
                examples_uri=examples.uri,
                splits=splits,
                schema_uri=schema.uri,
                suite_file=exec_properties["suite_file"],
                fail_on=exec_properties["fail_on"],
                output=folder,
                run_id=(self._context.pipeline_run_id or "") if self._context else "",
                asset=f"examples, span {examples.span or 0}",
            )
            rows[ROWS_IN] = rows[ROWS_OUT] = count
        if not result.passes:
            if self._context is not None:
                node_id = self._context.pipeline_node.node_info.id
                run_id = self._context.pipeline_run_id
                keep_evidence(result, evidence_directory(exec_properties["pipeline_root"], run_id, node_id), folder)
            raise GateFailed(result)


def check_examples(
    examples_uri: str,
    splits: list[str],
    schema_uri: str,
    suite_file: str,
    fail_on: str,
    output: pathlib.Path,
    run_id: str = "",
    asset: str = "examples",
) -> tuple[GateResult, int]:
    """Checks an Examples artifact and writes gate.json, validation.json and data_docs/ into `output`.

    Returns:
        what the gate found, and the number of rows that it looked at.

    Raises:
        InputError: the suite cannot be run on this schema.
    """
    from components.data_quality import _batch, _checks, _data_docs, _suite

    columns = _suite.schema_columns(schema_uri)
    suite = _suite.read_suite(suite_file, columns)
    batch = _batch.read(examples_uri, splits, _suite.paired_columns(suite))
    validation = _suite.validate(suite, batch.frame)
    # What Data Docs and GX's other readers show as the run and the data asset.
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    # "run" in front, because GX tries to read the name as a time, and 20261121T093144-8457 has a zone of -84:57 hours.
    name = f"run {run_id}" if run_id else ""
    validation.meta.update(run_id={"run_name": name, "run_time": now}, batch_kwargs={"data_asset_name": asset})
    result = GateResult(gate=GATE, checks=_checks.judge(validation, batch, fail_on))
    (output / GATE_FILE).write_text(result.to_json(), encoding="utf-8")
    (output / VALIDATION_FILE).write_text(_checks.validation_json(validation), encoding="utf-8")
    _data_docs.write(validation, suite, result, output / DATA_DOCS)
    return result, len(batch.frame)
