"""`trainyard bench`: options in, table and JSON out."""

from __future__ import annotations

import argparse
import pathlib


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `bench` to the CLI's commands."""
    command = commands.add_parser(
        "bench",
        help="measure stock TFX, Trainyard and a hand-written script on the same work",
        description="Generates taxi-like data, runs each side in a process of its own, one after the other, and prints "
        "seconds a stage, the whole process with its imports, peak memory and ratios. Stock TFX takes minutes for 500,000 rows.",
    )
    command.add_argument("workload", choices=["taxi"])
    command.add_argument("--rows", type=_rows, default=[500_000], metavar="N[,N...]", help="rows of data (500000)")
    command.add_argument("--rounds", type=int, default=1, help="measure so often and take medians (1)")
    command.add_argument(
        "--only", action="append", choices=["stock", "trainyard", "floor"], help="measure this side; may be repeated"
    )
    command.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures to a file")
    command.set_defaults(handler=_bench)


def _rows(text: str) -> list[int]:
    try:
        rows = [int(part) for part in text.split(",")]
    except ValueError:
        rows = [0]
    if min(rows) < 5_000:
        raise argparse.ArgumentTypeError(f"numbers of rows, 5000 or more each. Received: {text!r}")
    return rows


def _bench(options: argparse.Namespace) -> int:
    from benchmarks.pipeline import measuring, table

    results = measuring.measure(options.rows, max(1, options.rounds), options.only or list(measuring.SIDES))
    if options.json:
        options.json.write_text(table.to_json(results))
    print(table.to_text(results))
    return 0
