"""Commands of the ./trainyard script, listed so that --help is complete."""

from __future__ import annotations

import argparse
import sys

from cli.arguments import Commands
from spec import exit_codes


def add_commands(commands: Commands) -> None:
    for name, text in (
        ("test", "run the tests"),
        ("setup", "make the Python environments now"),
        ("airflow", "Airflow's own CLI against the embedded platform"),
    ):
        commands.add_parser(name, help=text, add_help=False).set_defaults(handler=_only_wrapper)


def _only_wrapper(options: argparse.Namespace) -> int:
    print("trainyard: this command belongs to the ./trainyard script; call it through that", file=sys.stderr)
    return exit_codes.FIX_INPUT
