"""`trainyard housekeeping`."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from typing import TYPE_CHECKING, TextIO

from cli import arguments
from cli.arguments import Commands
from pipelines.housekeeping import Limits
from spec import exit_codes

if TYPE_CHECKING:
    from pipelines.housekeeping import Swept


_MOST = 99_999  # of days, some 270 years: more is before any calendar's beginning


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "housekeeping",
        help="delete old runs, artifacts, metadata and releases (with --yes; else it says which)",
        description="Lists what is old, and with --yes deletes it. What is younger than --keep-days stays, so do the newest runs "
        "and releases, every labelled release, the one before stable, and what belongs to them. A workload that is being run "
        "is passed over. The embedded Airflow's logs and rows go by --keep-days. Killed half-way it leaves nothing broken.",
        epilog="examples:\n  trainyard housekeeping\n  trainyard housekeeping --keep-days 7 --keep-runs 5 --yes",
    )
    command.add_argument(
        "--workload", action="append", default=[], metavar="NAME", help="only this one; repeat it for more"
    )
    for name, least, default, text in (
        ("runs", 1, Limits.runs, "newest runs of each"),
        ("releases", 2, Limits.releases, "newest releases of each"),
        ("days", 0, Limits.days, "what is younger stays"),
    ):
        command.add_argument(
            f"--keep-{name}",
            type=arguments.whole_number(least, _MOST),
            default=default,
            metavar="N",
            help=f"{text} ({default})",
        )
    mode = command.add_mutually_exclusive_group()
    mode.add_argument("--yes", action="store_true", help="delete")
    mode.add_argument("--dry-run", action="store_true", help="delete nothing, which is the default")
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, the list on stderr")
    command.set_defaults(handler=_housekeeping)


def _housekeeping(options: argparse.Namespace) -> int:
    from embedded import housekeeping as embedded_airflow
    from pipelines.housekeeping import sweep

    limits = Limits(options.keep_runs, options.keep_releases, options.keep_days)
    found, trouble = sweep(limits, options.workload, delete=options.yes), ""
    if not options.workload:
        airflow = embedded_airflow.sweep(limits, delete=options.yes)
        found.items += airflow.items
        trouble = airflow.trouble
    _tell(found, options.yes, sys.stderr if options.json else sys.stdout)
    if options.json:
        print(
            json.dumps(
                {
                    "dry_run": not options.yes,
                    "items": len(found.items),
                    "bytes": sum(item.bytes for item in found.items),
                    "by_kind": Counter(item.kind for item in found.items),
                    "busy": found.busy,
                    "damaged": found.damaged,
                    "error": trouble or None,
                    "list": [dataclasses.asdict(item) for item in found.items[:1000]],
                }
            )
        )
    if trouble:
        print(f"trainyard housekeeping: {trouble}", file=sys.stderr)
    return exit_codes.MAY_RETRY if trouble else exit_codes.OK


def _tell(found: Swept, deleted: bool, stream: TextIO) -> None:
    for item in found.items:
        print(f"{item.kind:<9} {item.bytes:>14,}  {item.name}", file=stream)
    for place in found.busy:
        print(f"passed over: {place} is being run", file=stream)
    for said in found.damaged:
        print(f"passed over: {said}", file=stream)
    size = f"{sum(item.bytes for item in found.items):,} bytes in {len(found.items)} things"
    said = f"deleted {size}" if deleted else f"{size} are old; --yes deletes them"
    print(said if found.items else "nothing is old", file=stream)
