"""`trainyard new`."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from typing import TYPE_CHECKING, Any

from cli import terminal
from cli.arguments import Commands
from pipelines.scaffold import read_options
from pipelines.scaffold.request import Request
from spec import exit_codes
from spec.tasks import TASKS

if TYPE_CHECKING:
    from pipelines.scaffold.creating import Created

_EPILOG = """\
examples:
  trainyard new churn --data customers.csv --label churned --run
  trainyard new demand --data 'sales/*.parquet' --label units --task regression --time day --ignore comment
  trainyard new sensors --data readings.csv --task reconstruction
  trainyard new plays --data plays.csv --task retrieval --query user --item artist
  trainyard new offers --data offers.csv --task ranking --query search --label relevance
"""


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "new",
        help="make a workload from a data file",
        description="Looks at a data file and writes a workload that trains on it: declaration, features, model, "
        "schema, expectations and a test, all meant to be read and edited. The file becomes span 1 of its data.",
        epilog=_EPILOG,
    )
    command.add_argument("name", help="lower-case letters, digits and underscores")
    command.add_argument(
        "--data", required=True, metavar="FILE", help="file, quoted glob, or folder of class folders of images"
    )
    command.add_argument(
        "--label",
        metavar="COLUMN",
        help="the column to predict (for images: what to call it; for --task reconstruction: what is anomalous, if known)",
    )
    command.add_argument(
        "--task", help=f"{', '.join(TASKS)}, or the dotted path of a class of your own; default: by the label's values"
    )
    command.add_argument("--owner", default="ml-platform", help="who answers for the model (ml-platform)")
    command.add_argument("--description", default="", help="one sentence for a reader who has never heard of it")
    command.add_argument("--time", metavar="COLUMN", help="split by time: the newest rows are test")
    command.add_argument("--key", metavar="COLUMN", help="split by key: rows of one key stay together")
    command.add_argument(
        "--ignore", action="extend", nargs="+", default=[], metavar="COLUMN", help="columns not to read"
    )
    command.add_argument(
        "--positive",
        metavar="CLASS",
        help="of two classes, the one whose probability is predicted; default: by name, else the rarer",
    )
    command.add_argument(
        "--query",
        metavar="COLUMN",
        help="with --task retrieval: who asks, such as a user; with --task ranking: which rows are ranked together, such as a search",
    )
    command.add_argument("--item", metavar="COLUMN", help="with --task retrieval: what is answered, such as an artist")
    command.add_argument(
        "--merge-labels", action="store_true", help="treat labels that differ only in case or spaces as one class"
    )
    command.add_argument("--drop-unlabelled", action="store_true", help="leave out rows without a label, in every run")
    read_options.add_options(command)
    command.add_argument("--run", action="store_true", help="run its pipeline at once")
    command.set_defaults(handler=_new)


def _new(options: argparse.Namespace) -> int:
    """Creates the workload, says what was decided and why, and runs it if asked to."""
    given = {**vars(options), "label": options.label or None, "ignore": tuple(options.ignore)}
    given["read"] = read_options.given(options)
    created = _create(Request(**{field.name: given[field.name] for field in dataclasses.fields(Request)}))
    print("\n".join(created.story))
    command = f"./trainyard run {shlex.quote(options.name)}"
    if not options.run:
        print(f"\nNext: {command}")
        return exit_codes.OK
    print(f"\n{command}")
    from cli.display import run_display
    from pipelines.run import RunRequest, run

    return run(RunRequest(options.name), run_display(as_json=False)).exit_code


def _create(request: Request) -> Created:
    """Creates the workload. What only a person can decide is asked at a terminal, and an error elsewhere."""
    with terminal.busy("loading what reads data"):
        from pipelines.scaffold.creating import create
        from pipelines.scaffold.spelling import Undecided

    while True:
        try:
            with terminal.busy(f"looking at {request.data}"):
                return create(request)
        except Undecided as open_question:
            if not (sys.stdin.isatty() and sys.stdout.isatty()):
                raise
            if input(f"{open_question.question} [y/N] ").strip().lower() not in ("y", "yes"):
                raise
            answered: dict[str, Any] = {open_question.option: True}
            request = dataclasses.replace(request, **answered)
