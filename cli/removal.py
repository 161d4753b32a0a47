"""`trainyard remove`."""

from __future__ import annotations

import argparse
import sys

from cli.arguments import Commands
from spec import exit_codes


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "remove",
        help="delete a workload of yours, and all that was made from it",
        description="Lists what there is of a workload: its folder, schemas and test, its spans in the landing folder, runs, "
        "artifacts and metadata, rows of the history, releases. Then asks, and deletes it. What comes with Trainyard stays.",
        epilog="examples:\n  trainyard remove trial\n  trainyard remove trial --yes\n"
        "exit codes: 0 deleted; 1 a run of it is under way, try again; 2 there is no such workload, it comes with Trainyard, or "
        "you said no.",
    )
    command.add_argument("workload")
    command.add_argument("--yes", action="store_true", help="do not ask")
    command.set_defaults(handler=_remove)


def _remove(options: argparse.Namespace) -> int:
    from pipelines.removal import find, remove
    from storage import Busy

    found = find(options.workload)
    print("\n".join(found.lines))
    for warning in found.warnings:
        print(f"warning     {warning}")
    if not options.yes and not _agreed(options.workload):
        return exit_codes.FIX_INPUT
    try:
        remove(found)
    except Busy as error:
        print(f"trainyard: {error} Nothing was deleted.", file=sys.stderr)
        return exit_codes.MAY_RETRY
    print(f"{options.workload}: removed. `trainyard reports build` takes it out of the pages.")
    return exit_codes.OK


def _agreed(name: str) -> bool:
    if not sys.stdin.isatty():
        print(f"trainyard: {name}: nothing was deleted; nobody is here to ask. Add --yes.", file=sys.stderr)
        return False
    if input(f"Delete all of this? Type the workload's name ({name}): ").strip() == name:
        return True
    print(f"trainyard: {name}: nothing was deleted.", file=sys.stderr)
    return False
