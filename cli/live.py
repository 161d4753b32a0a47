"""`trainyard feedback` and `trainyard live`."""

from __future__ import annotations

import argparse
import dataclasses
import getpass
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli import arguments
from cli.arguments import Commands
from spec import exit_codes, home
from spec.workload import find_workload

if TYPE_CHECKING:
    from quality.monitoring import Breach, Look, Taken


def add_commands(commands: Commands) -> None:
    _add_feedback(commands)
    _add_live(commands)


def _add_feedback(commands: Commands) -> None:
    command = commands.add_parser(
        "feedback",
        help="take in labels that came later for what a model answered",
        description="Keeps labels beside the model server's record, each with the request that it is about: columns request_id "
        "(the X-Request-Id that the server answered), label, and, if need be, row (within the request, from 0) and at (when it was "
        "known). The same file again changes nothing; the last label of a row counts. Rows that cannot be used are named, and the "
        "others kept.",
        epilog="exit code 2: some rows or files were refused.\nexamples:\n  trainyard feedback taxi labels.csv --record /srv/record\n"
        "  trainyard feedback taxi                        # all that has landed where monitoring.live.feedback says",
    )
    command.add_argument("workload")
    command.add_argument(
        "files", nargs="*", metavar="FILE", help="CSV, JSON lines or Parquet; default: those that have landed"
    )
    arguments.add_record(command)
    command.add_argument("--json", action="store_true", help="what became of each file, as JSON on stdout")
    command.set_defaults(handler=_feedback)


def _add_live(commands: Commands) -> None:
    command = commands.add_parser(
        "live",
        help="how well a served model does, by the labels that came later",
        description="Computes the Evaluator's metrics of every version that answered requests, from the model server's record and "
        "the labels of `trainyard feedback`, and judges them by monitoring.live in workload.yaml. The result goes into the history "
        "of data quality, onto the pages and into the model server's /metrics.",
        epilog="exit code 2: the stable release surely breaks a bound.\nexamples:\n  trainyard live taxi --record /srv/record\n"
        "  trainyard live taxi --act        # and does what monitoring.live.then says",
    )
    command.add_argument("workload")
    arguments.add_record(command)
    command.add_argument(
        "--act",
        action="store_true",
        help="if a bound is surely broken, retrain or roll back here and now, as monitoring.live.then says (Airflow's "
        "monitor_<workload> does so through its own DAGs)",
    )
    command.add_argument("--json", action="store_true", help="figures and verdicts as JSON on stdout")
    command.set_defaults(handler=_live)


def _feedback(options: argparse.Namespace) -> int:
    from quality.monitoring import landed, take_in

    workload, _ = find_workload(options.workload)
    taken = take_in(workload, arguments.record_of(options), options.files or landed(workload))
    if options.json:
        counts = {"kept": sum(one.kept for one in taken), "refused": sum(one.refused for one in taken)}
        print(json.dumps(counts | {"files": [dataclasses.asdict(one) for one in taken]}, ensure_ascii=False))
    else:
        _tell_taken(taken)
    return exit_codes.FIX_INPUT if any(one.problems for one in taken) else exit_codes.OK


def _tell_taken(taken: Sequence[Taken]) -> None:
    if not taken:
        print("no files with labels have landed (monitoring.live.feedback)")
    for one in taken:
        refused = f", {one.refused:,} refused" if one.refused else ""
        print(f"{one.file}: " + ("was taken in before" if one.known else f"{one.kept:,} labels kept{refused}"))
        for problem in one.problems:
            print(f"  {problem}")
        if (more := one.refused - len(one.problems)) > 0:
            print(f"  and {more:,} more")


def _live(options: argparse.Namespace) -> int:
    from model_store import ModelStore
    from quality.history import History
    from quality.monitoring import breach_of, look, plain_versions, save, series, tell_server

    workload, _ = find_workload(options.workload)
    record = arguments.record_of(options)
    found = look(workload, record)
    with History.open() as history:
        breach = breach_of(workload, found, ModelStore(home.store_uri()), history)
    page = save(found.validation)
    tell_server(record, workload.name, "live", series(found, record))
    if options.json:
        said = {
            **{"workload": workload.name, "headline": found.validation.headline, "page": str(page)},
            **{"outcome": found.validation.outcome, "versions": plain_versions(found.versions)},
            "breach": None if breach is None else {**dataclasses.asdict(breach), "words": breach.words},
        }
        print(json.dumps(said, ensure_ascii=False))
    else:
        _tell_look(found, breach)
        print(f"report    data_quality_page: {page}")
    if breach is not None and options.act:
        _act(options.workload, breach)
    return exit_codes.OK if breach is None else exit_codes.FIX_INPUT


def _tell_look(found: Look, breach: Breach | None) -> None:
    from components.formats import NOTHING, figure, percent

    print(f"{found.validation.workload}: {found.validation.headline}")
    table = [("version", "", "answers", "labelled", "metric", "value", "interval", "limit", "verdict")]
    for one in found.versions:
        of_version = (str(one.version), one.label, f"{one.answered:,}", f"{one.labelled:,} ({percent(one.share)})")
        if not one.metrics:
            table.append((*of_version, NOTHING, NOTHING, NOTHING, NOTHING, "no label to judge by"))
        for metric in one.metrics:
            interval = NOTHING if metric.low is None else f"{figure(metric.low)} to {figure(metric.high)}"
            limit = str(metric.limit).removeprefix(f"{metric.metric} ") if metric.limit else ""
            verdict = str(metric.verdict) if metric.limit else ""
            table.append((*of_version, metric.metric, figure(metric.value), interval, limit, verdict))
            of_version = ("", "", "", "")
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print(f"  {'  '.join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()}")
    if breach is not None:
        told = {"alert": "tell people", "retrain": "retrain", "rollback": f"go back to version {breach.to}"}[
            breach.then
        ]
        print(f"monitoring.live.then: {told}" + (f"; not done: {breach.refused}" if breach.refused else ""))


def _act(workload: str, breach: Breach) -> None:
    """Does what is to be done about a breach on this machine."""
    from model_store import ModelStore

    if breach.refused or breach.then == "alert":
        return
    if breach.then == "rollback":
        store, reason = ModelStore(home.store_uri()), f"live metrics: {breach.words}"
        release = store.rollback(workload, to=breach.to, reason=reason, actor=getpass.getuser())
        print(f"{workload}: version {release.version} is stable again")
        return
    from cli.display import run_display
    from pipelines.run import RunRequest, run

    run(RunRequest(workload), run_display(False))
