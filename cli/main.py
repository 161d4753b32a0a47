"""The command line: every command, and how errors are reported."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from cli import (
    bench,
    cluster_doctor,
    compiling,
    embedded,
    housekeeping,
    keys,
    kubeflow_runs,
    landing_data,
    listing,
    live,
    quality,
    releases,
    removal,
    reports,
    running,
    scaffold,
    serving,
    skew,
    terminal,
    tuning,
    wrapper,
)
from model_store import StoreError
from spec import exit_codes
from spec.errors import InputError, TryAgainError, machine_trouble
from spec.words import one_line

# Each adds its commands, in the order of --help. What a command needs is imported when it runs, so that --help answers at once.
_MODULES = (
    listing,
    running,
    tuning,
    compiling,
    kubeflow_runs,
    cluster_doctor,
    scaffold,
    removal,
    landing_data,
    quality,
    reports,
    skew,
    live,
    releases,
    serving,
    keys,
    housekeeping,
    embedded,
    bench,
    wrapper,
)
_EPILOG = """\
exit codes: 0 done; 2 mend the input (the message says how), trying again finds the same; 1 may be tried again.
state lies in .trainyard/ (TRAINYARD_HOME), the model store in .trainyard/models (TRAINYARD_STORE).
"""


def main(arguments: Sequence[str] | None = None) -> int:
    terminal.prepare()
    try:
        code = _run_command(list(sys.argv[1:] if arguments is None else arguments))
        sys.stdout.flush()  # here, where a reader that has gone away is not an error
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return exit_codes.OK


def _run_command(arguments: list[str]) -> int:
    if odd := next((one for one in arguments if not terminal.is_text(one)), None):
        print(f"trainyard: {odd}: an argument is not UTF-8. Rename the file, or write it anew.", file=sys.stderr)
        return exit_codes.FIX_INPUT
    parser = _parser()
    options = _parse(parser, arguments)
    if not hasattr(options, "handler"):
        parser.print_help()
        return exit_codes.OK
    try:
        return int(options.handler(options))
    except (InputError, StoreError) as error:
        print(f"trainyard: {error}", file=sys.stderr)
        return exit_codes.FIX_INPUT
    except TryAgainError as error:
        print(f"trainyard: {error}", file=sys.stderr)
        return exit_codes.MAY_RETRY
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if options.debug:
            raise
        if trouble := machine_trouble(error):
            print(f"trainyard: {trouble}", file=sys.stderr)
            return exit_codes.FIX_INPUT
        message = one_line(error)
        print(f"trainyard: {type(error).__name__}: {message} (--debug shows where)", file=sys.stderr)
        return exit_codes.MAY_RETRY


def _parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Everything after `serve` belongs to the model server, options too; argparse would take those for its own."""
    command = next((i for i, argument in enumerate(arguments) if not argument.startswith("-")), len(arguments))
    if arguments[command : command + 1] != ["serve"]:
        return parser.parse_args(arguments)
    options = parser.parse_args(arguments[: command + 1])
    options.rest = arguments[command + 1 :]
    return options


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = terminal.Parser(
        prog="trainyard",
        description="TFX pipelines that run the same on a laptop, on Kubeflow and from Airflow.",
        epilog=_EPILOG,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an unexpected error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in _MODULES:
        module.add_commands(commands)
    return parser


if __name__ == "__main__":
    code = main()
    # Without this, the interpreter spends six seconds at exit collecting garbage among TensorFlow's and TFX's objects.
    gc.freeze()
    sys.exit(code)
