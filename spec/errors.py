"""Errors that a person can mend.

An `InputError` is the user's to mend: data, contract, code of the workload, configuration. The CLI prints it as one line
and exits with 2, Airflow does not retry it. Everything else is ours or the machine's, and may be retried (exit 1).
"""

from __future__ import annotations

import errno
import os
import re

from spec.words import one_line

# A full disk or a missing permission stays as it is until a person changes it; a lost connection does not.
LASTING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}
    | {errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENAMETOOLONG}
)
# What PostgreSQL and MySQL say about credentials and names. Not any "does not exist": of two nodes that find an empty database,
# one creates the tables, and the other meets a relation that does not exist yet.
_REFUSED = re.compile(
    r"password authentication failed|access denied|no pg_hba.conf entry|no password supplied|unknown database"
    r"|(database|role) \"[^\"]*\" does not exist",
    re.IGNORECASE,
)
_FULL = ("no space left on device", "database or disk is full")


class InputError(ValueError):
    """What is wrong, where, what was received, and how to mend it, in one line.

    Args:
        problem: what is wrong, what was received, how to mend it.
        file: path or URL of the file that it is about.
        line: of the file, from 1.
        field: of a configuration, `data.split`.
        row: of data, from 1: a header and blank lines do not count.
        column: of data.

    Example:
        >>> raise InputError("has no value. Fill it.", file="taxi.csv", line=17, row=16, column="fare")
        InputError: line 17 of taxi.csv, row 16, column 'fare': has no value. Fill it.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | os.PathLike[str] | None = None,
        line: int | None = None,
        field: str | None = None,
        row: int | None = None,
        column: str | None = None,
    ) -> None:
        self.problem, self.file = problem, None if file is None else os.fspath(file)
        self.line, self.field, self.row, self.column = line, field, row, column
        places = (
            f"line {line} of {self.file}" if line else self.file,
            f"field {field}" if field else None,
            f"row {row}" if row else None,
            f"column {column!r}" if column is not None else None,
        )
        where = ", ".join(one for one in places if one)
        super().__init__(one_line(f"{where}: {problem}" if where else problem))

    def renamed(self, copy: str | os.PathLike[str], original: str | os.PathLike[str]) -> InputError:
        """The same error about the file that people know, if it is about the copy of it that was read."""
        if self.file != os.fspath(copy):
            return self
        return InputError(
            self.problem, file=original, line=self.line, field=self.field, row=self.row, column=self.column
        )


class TryAgainError(RuntimeError):
    """Something that is needed does not answer, or is at work: nothing is to be mended, and a later try may do. One line, exit 1."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


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


def database_refuses(message: str) -> bool:
    """Whether a database's message means that credentials or names are wrong, rather than that it is away or has lost a race."""
    return bool(_REFUSED.search(message))


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
