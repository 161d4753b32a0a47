"""Arguments and options that several commands share. Imports nothing heavy: every command's parser is built with this."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import pathlib
import re
from collections.abc import Callable
from typing import TypeAlias

from landing import MOST_SPAN_DIGITS
from spec import environment as env
from spec.errors import InputError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_MOST_DIGITS = 18


def add_param(command: argparse.ArgumentParser, help: str) -> None:
    """Adds `--param KEY=VALUE`, as often as needed."""
    command.add_argument("--param", action="append", default=[], metavar="KEY=VALUE", help=help)


def add_beam(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--beam",
        action="append",
        default=[],
        metavar="KEY[=VALUE]",
        help="an option of Apache Beam, e.g. runner=FlinkRunner; repeat it for more. Default: this process, or what "
        "workload.yaml says (docs/guides/scaling.md)",
    )


def add_site(command: argparse.ArgumentParser) -> None:
    command.add_argument("--site", type=pathlib.Path, metavar="FILE", help="the cluster (TRAINYARD_KUBEFLOW)")


def add_cluster(command: argparse.ArgumentParser) -> None:
    """Adds `--site` and `--pools`."""
    add_site(command)
    command.add_argument("--pools", type=pathlib.Path, metavar="FILE", help="the pools (pools.yaml)")


def add_record(command: argparse.ArgumentParser) -> None:
    """Adds `--record`."""
    command.add_argument(
        "--record", type=pathlib.Path, metavar="DIR", help=f"the model server's record (default: {env.RECORD})"
    )


def record_of(options: argparse.Namespace) -> pathlib.Path:
    """The folder that `--record` or the environment names."""
    if record := options.record or os.environ.get(env.RECORD):
        return pathlib.Path(record)
    raise InputError(
        f"--record names no folder, and {env.RECORD} is not set. It is where `trainyard serve --record` writes."
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """Adds `--json` of a command that shows its progress."""
    command.add_argument("--json", action="store_true", help="one JSON object on stdout, progress on stderr")


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """A whole number as the command line takes it.

    Example:
        >>> whole_number(1)("3")
        3
    """
    expected = f"a whole number from {least} {'on' if most is None else f'to {most:,}'}"

    def number(text: str) -> int:
        if not text.isdecimal() or len(text) > _MOST_DIGITS or not least <= int(text) <= (most or int(text)):
            raise argparse.ArgumentTypeError(f"expected {expected}. Received: {text[:80]!r}")
        return int(text)

    return number


def seconds(most: int, above_zero: bool = True) -> Callable[[str], float]:
    """A duration in seconds as the command line takes it.

    Example:
        >>> seconds(60)("2.5")
        2.5
    """

    def number(text: str) -> float:
        with contextlib.suppress(ValueError):
            if 0 <= (given := float(text)) <= most and (given or not above_zero):
                return given
        least = "above 0" if above_zero else "from 0 on"
        raise argparse.ArgumentTypeError(f"expected seconds, {least}, at most {most:,}. Received: {text[:80]!r}")

    return number


version = whole_number(1, 999_999_999)
"""A release's version."""
wait = seconds(365 * 24 * 3600, above_zero=False)
"""How long to wait for another run."""


def span(text: str) -> int:
    """A span as the command line takes it: a number, or a day, which counts from 1970-01-01.

    Example:
        >>> span("1970-01-03")
        2
    """
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        with contextlib.suppress(ValueError):
            return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days
    if not text.isdecimal() or len(text) > MOST_SPAN_DIGITS:
        raise argparse.ArgumentTypeError(
            f"a span is a whole number from 0 on, of at most {MOST_SPAN_DIGITS} digits, or a day as 2026-11-21. "
            f"Received: {text[:80]!r}"
        )
    return int(text)


def period(text: str) -> datetime.timedelta:
    """A period as the command line takes it: minutes, hours or days.

    Example:
        >>> period("24h")
        datetime.timedelta(days=1)
    """
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"a period is a number and m, h or d, e.g. 24h. Received: {text[:80]!r}")
    unit = {"m": "minutes", "h": "hours", "d": "days"}[found[2]]
    return datetime.timedelta(**{unit: int(found[1])})
