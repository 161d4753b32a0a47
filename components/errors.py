"""Errors that a person can mend.

An `InputError` is the user's to mend: data, contract, code of the workload, configuration. The CLI prints it as one line
and exits with 2, Airflow does not retry it. Everything else is ours or the machine's, and may be retried (exit 1).
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_MAY_RETRY = 1
EXIT_FIX_INPUT = 2


class InputError(ValueError):
    """What is wrong, where, what was received, and how to mend it, in one line.

    Example:
        >>> raise InputError("taxi.csv, line 17: 18 columns expected. Received: 17. Complete the row or remove it.")
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
