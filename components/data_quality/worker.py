"""The work of DataQuality, in a process of its own: Great Expectations and the rows go when it ends.

Imports no TFX and no TensorFlow (components.prepared starts it).
"""

from __future__ import annotations

import datetime
import pathlib
from typing import Any

from components import lazy_imports
from components.gates import GateResult

GATE = "data quality"
GATE_FILE = "gate.json"
VALIDATION_FILE = "validation.json"
DATA_DOCS = "data_docs"


def warm() -> None:
    """Imports what `work` will need."""
    lazy_imports.install()
    from components.data_quality import _batch, _checks, _data_docs, _suite  # noqa: F401

    _suite.import_gx()


def work(request: dict[str, Any]) -> dict[str, Any]:
    """`check_examples` for the executor; `gate.json` carries the result."""
    _, rows = check_examples(**{**request, "output": pathlib.Path(request["output"])})
    return {"rows": rows}


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
    batch = _batch.read(examples_uri, splits, _suite.paired_columns(suite), _suite.wanted_columns(suite))
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
