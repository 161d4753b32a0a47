"""`trainyard quality`: draft a suite, see what a draft would change, check data outside of a run."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from cli import arguments, terminal
from cli.arguments import Commands
from spec import exit_codes, home
from spec.errors import InputError
from spec.workload import Workload, find_workload

if TYPE_CHECKING:
    from quality.contracts import Change, Checked, Source

_SHOWN = 20


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "quality",
        help="draft a workload's expectations, and check data outside of a run",
        description="The suite of a workload: schemas/<workload>/expectations.json, native to Great Expectations.",
        epilog="examples:\n  trainyard quality draft taxi\n  trainyard quality diff taxi --data 's3://landing/taxi/span-12/*.csv'\n"
        "  trainyard quality check taxi --data new_trips.csv\n"
        "  trainyard quality check taxi --data postgresql://reader@db/lake --query 'select * from trips where day = current_date'\n"
        "exit codes: 0 the data may be used, or nothing differs; 2 a critical check failed, or a draft would change something;\n"
        "1 the source does not answer, try again.",
    )
    actions = command.add_subparsers(title="actions", metavar="ACTION", required=True)
    draft = actions.add_parser(
        "draft",
        help="write what holds in the data into the suite; what a person wrote or changed stays",
        description="Looks at a span's data and the schema, and writes the expectations that hold there, each with its "
        "reason and severity. What was drafted before is drafted anew; what a person wrote, changed or took out stays so.",
    )
    diff = actions.add_parser("diff", help="show what `draft` would change (exit code 2 if something)")
    for one in (draft, diff):
        _add_source(one)
        one.set_defaults(handler=_draft, writes=one is draft)
    check = actions.add_parser(
        "check",
        help="run the suite on files or on a query (exit code 2 if a critical check fails)",
        description="The same gate as in a run, on data that no run has looked at.",
    )
    _add_source(check)
    check.add_argument(
        "--out", type=pathlib.Path, metavar="FOLDER", help="keep gate.json, validation.json and Data Docs"
    )
    check.set_defaults(handler=_check)


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("workload")
    parser.add_argument(
        "--data",
        metavar="URI",
        help="a file, a folder, a glob pattern or a URL; default: the newest span. With --query: an SQLAlchemy URL, whose "
        "password belongs into TRAINYARD_SOURCE_PASSWORD",
    )
    parser.add_argument("--query", metavar="SQL", help="what to read from the database that --data names")
    parser.add_argument("--span", type=arguments.span, help="which span; of --data: which it is, for waivers")
    parser.add_argument(
        "--format",
        choices=("csv", "xlsx", "parquet", "jsonl", "json", "tfrecord"),
        help="of the files; default: by their names",
    )
    parser.add_argument(
        "--timeout",
        type=arguments.seconds(7 * 24 * 3600),
        default=600.0,
        metavar="SECONDS",
        help="how long a database may take to the next rows of --query (600); exit code 1 after that",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def _draft(options: argparse.Namespace) -> int:
    with terminal.busy(f"drafting from {_shown_source(options)}"):
        workload, path, suite, changes = _drafted(options)
    from quality.contracts import differences, write_suite

    made, size = differences(changes), len(suite["expectations"])
    if options.writes and (made or not path.exists()):
        write_suite(path, suite, path.parent)
    if not made:
        end = f"{size} expectations, up to date"
    elif options.writes:
        end = f"{size} expectations, {len(made)} of them new, changed or removed. Read them, then commit."
    else:
        end = f"a draft would change {len(made)} expectations (trainyard quality draft {workload.name})"
    _show(options, workload, path, changes, end)
    return exit_codes.FIX_INPUT if made and not options.writes else exit_codes.OK


def _drafted(options: argparse.Namespace) -> tuple[Workload, pathlib.Path, dict[str, Any], list[Change]]:
    import pyarrow as pa

    from components.schema import left_out, read_schema
    from quality.contracts import columns_for, draft, merge_into, read, read_folders

    workload, _ = _fitting(*find_workload(options.workload))
    folder = home.schemas_root() / workload.name
    schema = read_schema(str(folder), left_out(read_schema(str(folder)), workload.data.ignore))
    columns = columns_for(workload, schema)
    source, span = _source(options, workload)
    by_folders = source.query is None and (source.format or workload.data.format) == "images"
    pieces = list(read_folders(source, columns) if by_folders else read(source, columns, workload.data))
    if bad := sum(len(piece.bad) for piece in pieces):
        first = next((piece.file, one) for piece in pieces for one in piece.bad)
        raise InputError(
            f"{first[0]}, row {first[1].row}: {bad:,} rows do not fit schema.pbtxt. Draft from data that does, or mend the schema "
            f"(`trainyard quality check {workload.name}` says why)."
        )
    rows = pa.Table.from_batches((p.batch for p in pieces), pa.schema([(c.name, c.type) for c in columns]))
    earlier = _earlier_rows(workload.name, span)
    drafted = draft(rows, schema, workload.data.label_column, workload.task, workload.key_columns, earlier)
    path = folder / "expectations.json"
    return workload, path, *merge_into(path, drafted)


def _fitting(workload: Workload, folder: pathlib.Path) -> tuple[Workload, pathlib.Path]:
    """The workload, checked against its schema; says which of its fields are skipped because their column is not read."""
    from pipelines import columns

    workload, notes = columns.fit(workload, folder / "workload.yaml")
    for note in notes:
        print(f"trainyard: {note}", file=sys.stderr)
    return workload, folder


def _earlier_rows(workload: str, span: int | None) -> list[int]:
    """Row counts of the spans in the history, one per span; empty where there is no history."""
    from quality.history import History, HistoryError, is_there

    if not is_there():
        return []
    try:
        with History.open() as history:
            found = {
                one.span: one.rows for one in history.validations(workload) if one.rows and one.span not in (None, span)
            }
    except HistoryError:
        return []
    return [rows for _, rows in sorted(found.items(), key=lambda item: item[0] or 0) if rows]


def _source(options: argparse.Namespace, workload: Workload) -> tuple[Source, int | None]:
    from components.ingestion import sources
    from landing import has_spans, locations
    from quality.contracts import Source

    if options.query is not None and not options.data:
        raise InputError("--query: needs --data, the SQLAlchemy URL of the database.")
    if options.data:
        return Source(options.data, options.query, options.format, options.timeout), options.span
    uri = workload.span_uri("{SPAN}", home.data_root())
    if not has_spans(uri):
        return Source(uri, None, options.format), None
    span = options.span if options.span is not None else sources.newest_span(uri)
    known = locations(uri)
    if span not in known:
        raise InputError(f"{uri}: span {span} is not there. Received spans: {', '.join(map(str, known)) or 'none'}.")
    return Source(known[span].uri, None, options.format or workload.data.format), span


def _show(options: argparse.Namespace, workload: Workload, path: pathlib.Path, changes: list[Change], end: str) -> None:
    if options.json:
        shown = {"workload": workload.name, "suite": str(path), "changes": [dataclasses.asdict(one) for one in changes]}
        print(json.dumps(shown, indent=2))
        return
    signs = {"added": "+", "removed": "-", "changed": "~", "kept": "="}
    for one in changes:
        detail = f": {one.why}" if one.why else _moved(one)
        print(f"{signs[one.kind]} {one.what}{detail}")
    print(f"{path}: {end}")


def _moved(change: Change) -> str:
    """Which arguments changed, in words."""
    if change.kind != "changed":
        return ""
    was, now = ({**one.get("kwargs", {}), "severity": one.get("severity")} for one in (change.was, change.now))
    parts = [
        f"{key} {was.get(key)} -> {now.get(key)}"
        for key in (*was, *(k for k in now if k not in was))
        if was.get(key) != now.get(key)
    ]
    return f": {', '.join(parts)}" if parts else ": its words"


def _shown_source(options: argparse.Namespace) -> str:
    """The source, without the part of its URL that may be secret."""
    place = options.data or f"the newest span of {options.workload}"
    return f"the query's rows ({place.partition('://')[0]})" if options.query is not None else place


def _check(options: argparse.Namespace) -> int:
    with terminal.busy("loading Great Expectations"):
        from quality.contracts import check
    workload, folder = _fitting(*find_workload(options.workload))
    if workload.data.format == "images" and not options.format and not options.query:
        raise InputError(
            f"{workload.name}: images are checked in a run: trainyard run {workload.name} --until DataQuality"
        )
    source, span = _source(options, workload)
    if options.out is not None:
        if options.out.exists() and any(options.out.iterdir()):
            raise InputError(f"--out {options.out}: is not empty. Name another folder.")
        options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="trainyard-quality-") as scratch:
        output = options.out or pathlib.Path(scratch)
        with terminal.busy(f"checking {_shown_source(options)}"):
            checked = check(workload, folder, source, span, output)
    if options.json:
        print(json.dumps(_as_json(workload, source, span, checked, options.out), indent=2, default=str))
    else:
        _print(workload, source, checked, options.out)
    return exit_codes.OK if checked.result.passes else exit_codes.FIX_INPUT


def _verdict(checked: Checked) -> str:
    """One sentence."""
    from components.gates import Severity

    result, many = checked.result, checked.result.counts()
    waived = [one for one in result.failures() if one.diagnostics.get("waiver")]
    rest = f"; {len(waived)} failed under a waiver" if waived else ""
    unjudged = f"{many['not_judged']} of {many['checks']} checks could not be judged"
    rest += f"; {many['not_judged']} not judged" if many["not_judged"] else ""
    on = f"on {checked.rows:,} rows{rest}."
    if many["failed"]:
        return f"Do not use it: {many['failed']} of {many['checks']} checks failed {on}"
    if not result.passes:
        return f"Do not use it: {unjudged} on {checked.rows:,} rows."
    if result.objections(Severity.WARNING):
        warn = len(result.objections(Severity.WARNING))
        return f"It can be used, but look at it: {warn} of {many['checks']} checks warn {on}"
    return f"It can be trusted: {many['passed']} checks hold {on}"


def _print(workload: Workload, source: Source, checked: Checked, kept: pathlib.Path | None) -> None:
    print(f"{workload.name}, {source.shown}: {_verdict(checked)}")
    failed = checked.result.objections()
    for one in failed[:_SHOWN]:
        word = "waived" if one.diagnostics.get("waiver") else str(one.severity)
        print(f"  {word}: {one.words}")
    if len(failed) > _SHOWN:
        print(f"  and {len(failed) - _SHOWN} more (--json has all)")
    if kept is not None:
        print(f"Data Docs: {(kept / 'data_docs' / 'index.html').absolute().as_uri()}")


def _as_json(
    workload: Workload, source: Source, span: int | None, checked: Checked, kept: pathlib.Path | None
) -> dict[str, Any]:
    return {
        "workload": workload.name,
        "data": source.shown,
        "span": span,
        "rows": checked.rows,
        "verdict": _verdict(checked),
        "out": None if kept is None else str(kept),
        **json.loads(checked.result.to_json()),
    }
