"""`--param key=value` and `--span`: what one run does otherwise than its workload.yaml."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import difflib
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pydantic

from landing import MOST_SPAN_DIGITS
from spec.errors import InputError
from spec.workload import Workload, WorkloadError, explained, parse_yaml

# Fields of `training` that need no path.
TRAINING_FIELDS = ("epochs", "batch_size", "seed")
# The optimizer's, declared or not.
LEARNING_RATE = "learning_rate"
_MOST_SECONDS = 31_536_000
_MOST_VERSION_DIGITS = 9


def add_option(command: argparse.ArgumentParser, help: str) -> None:
    """Adds `--param KEY=VALUE`, as often as needed."""
    command.add_argument("--param", action="append", default=[], metavar="KEY=VALUE", help=help)


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


def seconds(text: str) -> float:
    """A stretch of time as the command line takes it, in seconds from 0 on.

    Example:
        >>> seconds("2.5")
        2.5
    """
    with contextlib.suppress(ValueError):
        if 0 <= (number := float(text)) <= _MOST_SECONDS:
            return number
    raise argparse.ArgumentTypeError(f"expected seconds, from 0 to {_MOST_SECONDS:,}. Received: {text!r}")


def port(text: str) -> int:
    """A port as the command line takes it; 0: any free one."""
    if not text.isdecimal() or len(text) > 5 or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"a port is a whole number from 0 to 65,535. Received: {text!r}")
    return int(text)


def version(text: str) -> int:
    """A release's version as the command line takes it.

    Example:
        >>> version("3")
        3
    """
    if not text.isdecimal() or len(text) > _MOST_VERSION_DIGITS or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a version is a whole number from 1 on. Received: {text!r}")
    return int(text)


def period(text: str) -> datetime.timedelta:
    """A stretch of time as the command line takes it: minutes, hours or days.

    Example:
        >>> period("24h")
        datetime.timedelta(days=1)
    """
    found = re.fullmatch(r"(\d{1,6})([mhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"a period is a number and m, h or d, e.g. 24h. Received: {text!r}")
    unit = {"m": "minutes", "h": "hours", "d": "days"}[found[2]]
    return datetime.timedelta(**{unit: int(found[1])})


def apply(workload: Workload, parameters: Sequence[str], where: pathlib.Path) -> Workload:
    """The workload with fields replaced.

    A key with dots is a field of workload.yaml (`training.epochs=3`); one without is a hyper-parameter that workload.yaml
    declares (`learning_rate=0.01` is `training.hyperparameters.learning_rate`), or else epochs, batch_size or seed.

    Raises:
        WorkloadError: a parameter is not key=value, names nothing, or the workload would not be valid with it.
    """
    raw = workload.model_dump(mode="json")
    for parameter in parameters:
        key, separator, text = parameter.partition("=")
        if not separator or not key:
            raise WorkloadError(f"--param {parameter!r}: expected key=value, e.g. training.epochs=3")
        path = _path(key, raw["training"]["hyperparameters"])
        _set(raw, path, _value(text, parameter), parameter)
    try:
        return Workload.model_validate(raw)
    except pydantic.ValidationError as error:
        problems = [explained(where, problem) for problem in error.errors()]
        raise WorkloadError.of([InputError(f"--param: {one}") for one in problems]) from None


def near(name: str, known: Iterable[str]) -> str:
    """What was probably meant, as the end of a message; empty if nothing is close.

    Example:
        >>> near("learning_rat", ["learning_rate", "seed"])
        " Did you mean 'learning_rate'?"
    """
    close = difflib.get_close_matches(name, list(known), 1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _path(key: str, hyperparameters: dict[str, Any]) -> list[str]:
    path = key.split(".")
    if len(path) == 1:
        is_field = key in TRAINING_FIELDS and key not in hyperparameters
        path = ["training", key] if is_field else ["training", "hyperparameters", key]
    # A hyper-parameter that nobody declared would be taken and change nothing but the cache's key.
    declared = {**hyperparameters, LEARNING_RATE: None}
    if path[:2] == ["training", "hyperparameters"] and (len(path) != 3 or path[2] not in declared):
        known = [*declared, *TRAINING_FIELDS]
        raise WorkloadError(
            f"--param {key}: there is no such hyper-parameter.{near(path[-1], known)} Known: {', '.join(known)}, and fields of "
            "workload.yaml by their path (training.early_stopping_patience). A new one is declared under training.hyperparameters."
        )
    return path


def _value(text: str, parameter: str) -> Any:
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise WorkloadError(
            f"--param {parameter!r}: the value is not valid YAML ({error}). Quote it, e.g. 'name=\"[x\"'."
        ) from None


def _set(raw: dict[str, Any], path: list[str], value: Any, parameter: str) -> None:
    section: Any = raw
    for part in path[:-1]:
        section = section.get(part) if isinstance(section, dict) else None
        if not isinstance(section, dict):
            raise WorkloadError(f"--param {parameter!r}: workload.yaml has no section {part!r}")
    section[path[-1]] = value
