"""Which errors of the model store are the user's to mend."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from components.errors import InputError
from model_store import StoreError

# A full disk or a missing permission stays as it is until a person changes it; a lost connection does not.
_STAYS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})


@contextmanager
def store_errors() -> Iterator[None]:
    """Raises a StoreError that a retry would only meet again as an InputError, with the same words."""
    try:
        yield
    except StoreError as error:
        origin = error.__cause__ or error.__context__
        if isinstance(origin, OSError) and origin.errno not in _STAYS and not isinstance(origin, FileNotFoundError):
            raise
        raise InputError(str(error)) from error
    except OSError as error:
        if error.errno in _STAYS:
            raise InputError(
                f"model store: {error.strerror}: {error.filename}. Free space or mend the rights."
            ) from error
        raise
