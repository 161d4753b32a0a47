"""Describes a node's failure: one line for a person, and whether a retry could help."""

from __future__ import annotations

import pathlib
import traceback
from collections.abc import Iterator

from spec import exit_codes
from spec.errors import InputError, TryAgainError, machine_trouble
from spec.words import one_line


class NodeFailed(RuntimeError):
    """A node did not finish and raised nothing; the log says why."""


def describe(node_id: str, error: BaseException) -> tuple[str, int]:
    """The line and the exit code."""
    told = next((one for one in chain(error) if isinstance(one, InputError | TryAgainError)), None)
    if told is not None:
        return str(told), exit_codes.FIX_INPUT if isinstance(told, InputError) else exit_codes.MAY_RETRY
    if isinstance(error, KeyboardInterrupt):
        return f"{node_id}: interrupted", 130
    if trouble := next((said for one in chain(error) if (said := machine_trouble(one))), None):
        return f"{node_id}: {trouble}", exit_codes.FIX_INPUT
    last = traceback.extract_tb(error.__traceback__)[-1]
    message = one_line(error, 400)
    where = f"{pathlib.Path(last.filename).name}, line {last.lineno}"
    return f"{node_id}: {type(error).__name__}: {message} ({where})", exit_codes.MAY_RETRY


def is_refusal(error: BaseException) -> bool:
    """Whether the error is a gate's refusal, rather than a failure of the gate."""
    from components.gates import GateFailed

    return any(isinstance(one, GateFailed) for one in chain(error))


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and its causes: Beam and TFX wrap what executors raise."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
