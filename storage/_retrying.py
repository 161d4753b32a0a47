"""How what does not answer is asked again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import tenacity

from spec.errors import LASTING
from spec.words import one_line

ATTEMPTS = 4
PAUSE_S = 1.0
Result = TypeVar("Result")


def retrying(
    may_pass: Callable[[BaseException], bool] | None = None, attempts: int = ATTEMPTS, pause_s: float | None = None
) -> tenacity.Retrying:
    """Calls its argument again while the network fails it, and not once the store has answered; the pauses double.

    Args:
        may_pass: whether an error may be gone at another attempt; default: an OSError that nobody has to mend.
        attempts: all of them, the first included; the last one's error is raised.
        pause_s: seconds ahead of the second attempt; default: PAUSE_S.

    Example:
        >>> answers = iter([ConnectionResetError, 7])
        >>> def ask():
        ...     if isinstance(answer := next(answers), int):
        ...         return answer
        ...     raise answer
        >>> retrying(pause_s=0)(ask)
        7
    """
    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_pass or _may_pass),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(multiplier=PAUSE_S if pause_s is None else pause_s),
        reraise=True,
    )


def _may_pass(error: BaseException) -> bool:
    answered = isinstance(error, FileNotFoundError | PermissionError | FileExistsError)
    return isinstance(error, OSError) and not answered and error.errno not in LASTING


def patiently(
    work: Callable[[], Result], is_away: Callable[[BaseException], bool], seconds: float, what: str
) -> Result:
    """Does `work` again while the service that it asks is away, and says so; the pauses grow to a quarter of a minute.

    Args:
        is_away: whether an error means that, and not an answer.
        seconds: how long; then the last error is raised.
        what: the service, for the log.
    """

    def say(attempt: tenacity.RetryCallState) -> None:
        assert attempt.outcome is not None
        print(f"{what} is away, trying again: {one_line(attempt.outcome.exception(), 160)}", flush=True)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_away),
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_exponential_jitter(0.5, max=15),
        before_sleep=say,
        reraise=True,
    )(work)
