from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from spec.errors import LASTING, InputError, TryAgainError

# As s3fs, gcsfs and adlfs say it; not any "bucket": a path may have the word.
_NO_BUCKET = re.compile(r"(bucket|container) does ?n[o']t exist|NoSuchBucket|ContainerNotFound", re.IGNORECASE)
# botocore's, google-auth's and azure-identity's, by name: none of them need be installed.
_CREDENTIALS = frozenset(
    {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError", "ClientAuthenticationError"}
)


class Busy(TryAgainError):
    """Another process holds the lock, and did not let go in time."""


class LeaseLost(TryAgainError):
    """The lease was not renewed in time: another process may hold it by now."""


class NoConditionalWrites(InputError):
    """The store cannot write on a condition, without which two writers could overwrite one another unnoticed."""


Conflict = FileExistsError
"""A file is there that should not be, or is no longer the one that was read; nothing was written."""


def as_refused(error: BaseException, uri: str = "") -> InputError | None:
    """An object store's refusal as one line; None if it is another error. A local file's refusal has an errno."""
    refused = isinstance(error, PermissionError) and error.errno not in LASTING
    if not refused and type(error).__name__ not in _CREDENTIALS:
        return None
    place = f"{uri}: access" if uri else "access to the object store"
    return InputError(
        f"{place} is refused ({' '.join(str(error).split())[:200]}). Check the object store's credentials and the rights of the "
        "pod's service account."
    )


@contextlib.contextmanager
def store_trouble(uri: str) -> Iterator[None]:
    """Refused credentials and missing buckets are for a person to mend: one line."""
    try:
        yield
    except Exception as error:
        if refused := as_refused(error, uri):
            raise refused from error
        if isinstance(error, FileNotFoundError) and _NO_BUCKET.search(str(error)):
            raise InputError(
                f"{uri}: {error}. Make the bucket, or mend root, data or store in kubeflow.yaml."
            ) from error
        raise
