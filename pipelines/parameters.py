"""`--param key=value`: fields of workload.yaml that one run overrides."""

from __future__ import annotations

import difflib
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import pydantic

from spec.errors import InputError
from spec.workload import LEARNING_RATE, Workload, WorkloadError, explained, parse_yaml

# Fields of `training` that need no path.
TRAINING_FIELDS = ("epochs", "batch_size", "seed")


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
    """A suggestion to end an error message with; empty if no known name is close.

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
    # An undeclared hyper-parameter would be accepted and change nothing but the cache's key.
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
