"""One policy for a store that does not answer."""

from __future__ import annotations

from collections.abc import Callable

import tenacity

from spec.errors import LASTING

ATTEMPTS = 4
PAUSE_S = 1.0


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
