"""`trainyard bench`: options in; tables, JSON and a plot out."""

from __future__ import annotations

import argparse
import pathlib
from typing import TYPE_CHECKING

from benchmarks.pipeline import case as cases
from cli import arguments
from cli.arguments import Commands

if TYPE_CHECKING:
    from benchmarks.pipeline.measurement import Results

_FEWEST_ROWS = 1_000

_EPILOG = """\
examples:
  trainyard bench taxi                                           # stock TFX takes minutes
  trainyard bench taxi --rows 100000,500000,2000000 --rounds 3 --json taxi.json --plot taxi.svg
  trainyard bench wide --rows 20000 --only trainyard             # one side, while working on it
  trainyard bench taxi --rows 10000000 --only trainyard --memory-mb 8192
  trainyard bench --from taxi.json --from wide.json --markdown   # tables of what was measured before
"""


def add_commands(commands: Commands) -> None:
    command = commands.add_parser(
        "bench",
        help="measure stock TFX, Trainyard and a hand-written script on the same work",
        description="Generates a case's data, runs each side in a process of its own, one after the other, and prints seconds "
        "a stage, the whole process with its imports, peak memory and ratios.",
        epilog=_EPILOG,
    )
    command.add_argument("case", nargs="?", choices=cases.names(), help="which data and work")
    command.add_argument("--rows", type=_rows, metavar="N[,N...]", help="rows of data; default: the case's own")
    command.add_argument(
        "--rounds", type=arguments.whole_number(1), default=1, help="measure so often and take medians (1)"
    )
    command.add_argument(
        "--only", action="append", choices=["stock", "trainyard", "floor"], help="measure this side; may be repeated"
    )
    command.add_argument(
        "--memory-mb",
        type=arguments.whole_number(1),
        metavar="MIB",
        help="limit each side and its children to so much memory",
    )
    command.add_argument(
        "--from",
        dest="files",
        action="append",
        type=pathlib.Path,
        metavar="FILE",
        help="measure nothing: show what --json wrote; may be repeated",
    )
    command.add_argument(
        "--json", type=pathlib.Path, metavar="FILE", help="write all figures and the machine to a file"
    )
    command.add_argument("--plot", type=_svg, metavar="FILE.svg", help="draw the stages, and lines over several sizes")
    command.add_argument("--markdown", action="store_true", help="print the tables in markdown")
    command.set_defaults(handler=_bench)


def _rows(text: str) -> list[int]:
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) >= _FEWEST_ROWS for part in parts):
        raise argparse.ArgumentTypeError(f"numbers of rows, {_FEWEST_ROWS} or more each. Received: {text!r}")
    return [int(part) for part in parts]


def _svg(text: str) -> pathlib.Path:
    if not text.endswith(".svg"):
        raise argparse.ArgumentTypeError(f"the plot is an SVG; name it .svg. Received: {text!r}")
    return pathlib.Path(text)


def _bench(options: argparse.Namespace) -> int:
    from benchmarks.pipeline import measurement, measuring, table
    from benchmarks.pipeline.plot import plot

    if options.files:
        measuring.refuse_case(options.case)
        results = measurement.read(options.files)
        _keep(results, options.json)
    else:
        for results in measuring.measure(
            options.case, options.rows, options.rounds, options.only or (), options.memory_mb
        ):
            _keep(results, options.json)  # after each size: stopping a long benchmark loses nothing
    if options.plot:
        options.plot.write_text(plot(results))
    print(table.to_markdown(results) if options.markdown else table.to_text(results))
    return int(any(one.failure for one in results.measurements))


def _keep(results: Results, path: pathlib.Path | None) -> None:
    if path:
        path.write_text(results.to_json())
