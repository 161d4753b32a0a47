"""Errors that a person can mend.

An `InputError` is the user's to mend: data, contract, code of the workload, configuration. The CLI prints it as one line
and exits with 2, Airflow does not retry it. Everything else is ours or the machine's, and may be retried (exit 1).
"""

from __future__ import annotations

import errno

# A full disk or a missing permission stays as it is until a person changes it; a lost connection does not.
LASTING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}
    | {errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
)
_FULL = ("no space left on device", "database or disk is full")


class InputError(ValueError):
    """What is wrong, where, what was received, and how to mend it, in one line.

    Example:
        >>> raise InputError("taxi.csv, line 17: 18 columns expected. Received: 17. Complete the row or remove it.")
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class TryAgainError(RuntimeError):
    """Something that is needed does not answer, or is at work: nothing is to be mended, and a later try may do. One line, exit 1."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class ChangedError(TryAgainError):
    """An input is no longer what the run began with: what is made of it may not be kept under the other's name.

    Args:
        what: the file or folder.
        how: what was seen, and what is seen now.
    """

    def __init__(self, what: str, how: str) -> None:
        super().__init__(
            f"{what}: changed while it was being read ({how}). Nothing of it was kept; run again when it is at rest."
        )


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says so; SQLite, Beam and TensorFlow raise errors of their own."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(sign in str(error).lower() for sign in _FULL)


def machine_trouble(error: BaseException) -> str | None:
    """What keeps the machine from going on until a person does something, in one line; None if it is something else."""
    if disk_is_full(error):
        where = getattr(error, "filename", None) or "while writing"
        return f"the disk is full ({where}). Free space and run again; what is finished is kept."
    if isinstance(error, OSError) and error.errno in LASTING:
        return f"{error.strerror}: {error.filename}. Mend the rights or the path, and run again."
    return None
