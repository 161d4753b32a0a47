"""Which errors of the model store are the user's to mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from model_store import StoreError
from spec.errors import LASTING, InputError, TryAgainError


@contextmanager
def store_errors() -> Iterator[None]:
    """Raises a StoreError that a retry would only meet again as an InputError, with the same words."""
    try:
        yield
    except StoreError as error:
        origin = error.__cause__ or error.__context__
        passing = (
            isinstance(origin, OSError) and origin.errno not in LASTING and not isinstance(origin, FileNotFoundError)
        )
        if passing or isinstance(origin, TryAgainError | FileExistsError):  # another process was at work, or faster
            raise
        raise InputError(str(error)) from error
    except OSError as error:
        if error.errno in LASTING:
            raise InputError(
                f"model store: {error.strerror}: {error.filename}. Free space or mend the rights."
            ) from error
        raise
