"""Runs a workload's data gates outside of a run: schema and suite, judged as a run would judge them."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence

import pyarrow as pa

from components.columnar import SplitWriter
from components.data_quality.contract import check_contract
from components.gates import CheckResult, GateResult, Severity
from components.ingestion.bad_rows import BadRow
from components.schema import MASKED, is_personal, left_out, read_schema
from quality.contracts._schema_gate import not_judged_here, schema_checks
from quality.contracts._sources import Source, columns_for, read
from spec import home
from spec.workload import Workload

_SPLIT = "data"
_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Checked:
    """The result of a check.

    Attributes:
        bad: how many could not be checked, because they do not fit the schema.
    """

    result: GateResult
    rows: int
    bad: int


def check(workload: Workload, folder: pathlib.Path, source: Source, span: int | None, output: pathlib.Path) -> Checked:
    """Checks a source against a workload's schema and suite.

    Args:
        folder: of the workload: classes of expectations may lie there.
        span: its span, for waivers; None: it has none.
        output: an empty folder: gate.json, validation.json, data_docs/ and the rows.

    Raises:
        InputError: contracts or source need mending.
        SourceAway: the source does not answer.
    """
    from components.data_quality.judging import worst_first
    from components.data_quality.worker import GATE_FILE, check_examples

    schemas = home.schemas_root() / workload.name
    suite = schemas / "expectations.json"
    ignored = left_out(read_schema(str(schemas)), workload.data.ignore)
    check_contract(suite, schemas, ignored)
    schema = read_schema(str(schemas), ignored)
    columns = columns_for(workload, schema)
    personal = {feature.name for feature in schema.feature if is_personal(feature)}
    bad: list[tuple[str, BadRow]] = []
    many = 0
    with SplitWriter(output / "rows", _SPLIT, pa.schema([(c.name, c.type) for c in columns])) as writer:
        for piece in read(source, columns, workload.data):
            writer.write(piece.batch)
            many += len(piece.bad)
            bad += [(piece.file, one) for one in piece.bad[: _SHOWN - len(bad)]]
    result, rows = check_examples(
        str(output / "rows"),
        [_SPLIT],
        str(schemas),
        str(suite),
        workload.quality.fail_on,
        output,
        asset=source.shown,
        spans=[{"span": span, "parts": None}],
        keys=workload.key_columns,
        code=[str(folder)],
        left_out=ignored,
    )
    more = [_misfit(bad, many, rows, personal)] if many else []
    more += schema_checks(workload, schema, output / "rows", _SPLIT) if rows else []
    result = GateResult(result.gate, worst_first([*more, *result.checks, not_judged_here(workload)]))
    (output / GATE_FILE).write_text(result.to_json(), encoding="utf-8")
    return Checked(result, rows, many)


def _misfit(bad: Sequence[tuple[str, BadRow]], many: int, rows: int, personal: set[str]) -> CheckResult:
    shown = [
        {
            "file": file,
            "row": one.row,
            "column": one.column,
            "reason": MASKED if one.column in personal or (personal and one.column is None) else one.reason,
        }
        for file, one in bad
    ]
    first = shown[0]
    column = f", column {first['column']!r}" if first["column"] else ""
    where = f"{first['file']} row {first['row']}{column}"
    return CheckResult(
        "rows_fit_the_schema",
        passes=False,
        severity=Severity.CRITICAL,
        message=f"{many:,} of {many + rows:,} rows do not fit schema.pbtxt, e.g. {where}: {first['reason']}",
        diagnostics={"unexpected_count": many, "element_count": many + rows, "sample": shown},
    )
