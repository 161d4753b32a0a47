"""The work of DataQuality, in its own process, which frees the memory of Great Expectations and the rows when it ends.

Imports no TFX and no TensorFlow (components.prepared starts it).
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from components import lazy_imports
from components.data_quality import waivers
from components.data_quality.contract import check_contract
from components.data_quality.record import RECORD
from components.gates import CheckResult, GateResult, Severity
from components.schema import is_personal, read_schema

GATE_FILE = "gate.json"
VALIDATION_FILE = "validation.json"
DATA_DOCS = "data_docs"


def warm() -> None:
    """Imports what `work` will need."""
    lazy_imports.install()
    from components.data_quality import _batch, _data_docs, _running, _suite, judging  # noqa: F401

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
    spans: Sequence[Mapping[str, Any]] = (),
    keys: Sequence[str] = (),
    code: Sequence[str] = (),
    left_out: Sequence[str] = (),
) -> tuple[GateResult, int]:
    """Checks an Examples artifact and writes gate.json, validation.json and data_docs/ into `output`.

    Every span of a window is judged by itself, or an empty delivery would hide behind earlier ones. Older spans were judged when they
    were delivered, so only what stops the run is reported: refused data must not be trained on as part of a later window.

    Args:
        suite_file: native GX; waivers.yaml and classes of its expectations may lie beside it.
        asset: for Data Docs: what was looked at.
        spans: those of the window, oldest first: `span`, and `parts`: first row and number of rows by split. Default: all rows.
        keys: columns that say which row a finding is about.
        code: more folders for classes of expectations.
        left_out: columns that are not read; their expectations are reported as not judged.

    Returns:
        what the gate found, and the number of rows that it looked at.

    Raises:
        InputError: suite, schema or waivers contradict each other or cannot be used.
    """
    from components.data_quality import _batch, _data_docs, _personal, _running, _suite, judging

    check_contract(suite_file, schema_uri, left_out)
    schema = read_schema(schema_uri, left_out)
    suite = _suite.read_suite(suite_file, {feature.name for feature in schema.feature}, code, left_out)
    personal = {feature.name for feature in schema.feature if is_personal(feature)}
    held = waivers.read_waivers(waivers.beside(suite_file))

    def judge(span: int | None, parts: Any) -> tuple[Any, tuple[CheckResult, ...], int]:
        batch = _batch.Batch(examples_uri, splits, parts, _running.paired_columns(suite))
        found = _running.validate(suite, batch)
        _personal.mask(found, lambda c: _running.columns_of(c.type, c.kwargs, batch.columns) or (), personal)
        checks = judging.judge(found, batch, fail_on, keys, personal)
        return found, waivers.apply(checks, held, span, waivers.today()), batch.rows

    *older, newest = spans or [{"span": None, "parts": None}]
    found, checks, rows = judge(newest["span"], newest["parts"])
    for one in older:
        _, before, many = judge(one["span"], one["parts"])
        stopping = [c for c in before if not c.passes and c.severity is Severity.CRITICAL]
        checks, rows = (*checks, *(_of_span(c, one["span"]) for c in stopping)), rows + many
    checks = (*checks, *judging.not_judged(suite_file, left_out))
    # What Data Docs and GX's other readers show as the run and the data asset.
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    # "run" in front, because GX tries to read the name as a time, and 20261121T093144-8457 has a zone of -84:57 hours.
    name = f"run {run_id}" if run_id else ""
    found.meta.update(run_id={"run_name": name, "run_time": now}, batch_kwargs={"data_asset_name": asset})
    if not suite.expectations:
        nothing = f"{pathlib.Path(suite_file).name} has no expectations; trainyard quality draft makes some"
        checks = (*checks, CheckResult.not_judged("expectations", nothing, Severity.WARNING))
    result = GateResult(gate=RECORD.id, checks=judging.worst_first(checks))
    (output / GATE_FILE).write_text(result.to_json(), encoding="utf-8")
    (output / VALIDATION_FILE).write_text(json.dumps(judging.plain(found.to_json_dict()), indent=2), encoding="utf-8")
    _data_docs.write(found, suite, result, output / DATA_DOCS)
    return result, rows


def _of_span(check: CheckResult, span: int) -> CheckResult:
    """A check of an older span of the window."""
    message = f"span {span}, which the window still holds: {check.message}"
    return dataclasses.replace(check, name=f"{check.name}, span {span}", message=message)
