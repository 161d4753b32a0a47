from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from spec.errors import InputError, TryAgainError
from spec.words import one_line

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EIO, errno.ELOOP})


class StoreError(Exception):
    """What is wrong with a store or a release, what was received, and how to mend it, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@contextmanager
def reading(what: str) -> Iterator[None]:
    """What cannot be read, today or tomorrow, is damage to that one thing; a lost connection is not."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        raise StoreError(
            f"{what} cannot be read: {error.strerror}. Mend its rights, or restore it from a copy."
        ) from error


@contextmanager
def writing(doing: str) -> Iterator[None]:
    """What a failed write means, in one line."""
    try:
        yield
    except FileExistsError as error:
        raise StoreError(f"another process was faster while {doing}. Try again.") from error
    except OSError as error:
        raise from_os_error(error, doing) from error
    except (InputError, TryAgainError) as error:
        raise StoreError(str(error)) from error


def from_os_error(
    error: OSError,
    doing: str,
    full: str = "nothing was published and the unfinished copy is removed. Free some space, or point TRAINYARD_STORE at a larger disk",
) -> StoreError:
    """The one line for a failed read or write, with the remedy for the usual causes; `full` is what to say of a full disk."""
    if error.errno in _NO_SPACE:
        return StoreError(f"no space left on the device while {doing}; {full}.")
    where = f" ({error.filename})" if error.filename else ""
    reason = error.strerror or str(error) or type(error).__name__
    return StoreError(f"{reason} while {doing}{where}. Check that the store exists and that you may write to it.")
