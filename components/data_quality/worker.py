"""The work of DataQuality, in a process of its own: Great Expectations and the rows go when it ends.

Imports no TFX and no TensorFlow (components.prepared starts it).
"""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Sequence
from typing import Any

from components import lazy_imports
from components.data_quality import waivers
from components.data_quality._contract import SCHEMA_FILE, check_contract, read_schema
from components.data_quality._failed_rows import write_failed_rows
from components.gates import GateResult
from components.personal import personal_columns

GATE = "data quality"
GATE_FILE = "gate.json"
VALIDATION_FILE = "validation.json"
DATA_DOCS = "data_docs"


def warm() -> None:
    """Imports what `work` will need."""
    lazy_imports.install()
    from components.data_quality import _batch, _checks, _data_docs, _running, _suite  # noqa: F401

    _running.import_gx()


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
    span: int | None = None,
    keys: Sequence[str] = (),
    code: Sequence[str] = (),
    quarantine: bool = False,
) -> tuple[GateResult, int]:
    """Checks an Examples artifact and writes gate.json, validation.json and data_docs/ into `output`.

    Args:
        examples_uri: of the artifact.
        splits: which, together as one batch.
        schema_uri: the folder of schema.pbtxt.
        suite_file: native GX; waivers.yaml and classes of its expectations may lie beside it.
        fail_on: critical, warning or never.
        output: a folder.
        run_id: for Data Docs.
        asset: for Data Docs: what was looked at.
        span: of the examples, for waivers.
        keys: columns that say which row a finding is about.
        code: more folders for classes of expectations.
        quarantine: whether to write failed_rows.parquet: the rows that fail an expectation whose meta data says `quarantine`.

    Returns:
        what the gate found, and the number of rows that it looked at.

    Raises:
        InputError: suite, schema or waivers contradict each other or cannot be used.
    """
    from components.data_quality import _batch, _checks, _data_docs, _format, _personal, _running, _suite

    check_contract(suite_file, pathlib.Path(schema_uri) / SCHEMA_FILE)
    schema = read_schema(pathlib.Path(schema_uri) / SCHEMA_FILE)
    suite = _suite.read_suite(suite_file, {feature.name for feature in schema.feature}, code)
    batch = _batch.Batch(examples_uri, splits, _running.paired_columns(suite))
    aside = [n for n, one in enumerate(suite.expectations) if quarantine and (one.meta or {}).get(_format.QUARANTINE)]
    found = _running.validate(suite, batch, rows_of=aside)
    personal = personal_columns(schema)
    _personal.mask(found.native, lambda c: _running.columns_of(c.type, c.kwargs, batch.columns) or (), personal)
    # What Data Docs and GX's other readers show as the run and the data asset.
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    # "run" in front, because GX tries to read the name as a time, and 20261121T093144-8457 has a zone of -84:57 hours.
    name = f"run {run_id}" if run_id else ""
    found.native.meta.update(run_id={"run_name": name, "run_time": now}, batch_kwargs={"data_asset_name": asset})
    checks = _checks.judge(found.native, batch, fail_on, keys, personal)
    if quarantine:
        write_failed_rows(output, batch, {checks[place].name: rows for place, rows in found.failing.items()})
    judged = waivers.apply(checks, waivers.read_waivers(waivers.beside(suite_file)), span, waivers.today())
    result = GateResult(gate=GATE, checks=_checks.worst_first(judged))
    (output / GATE_FILE).write_text(result.to_json(), encoding="utf-8")
    (output / VALIDATION_FILE).write_text(_checks.validation_json(found.native), encoding="utf-8")
    _data_docs.write(found.native, suite, result, output / DATA_DOCS)
    return result, batch.rows
