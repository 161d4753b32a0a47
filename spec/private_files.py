"""Files that only their owner may read: private keys, and lists of who may ask."""

from __future__ import annotations

import os
import pathlib
import stat
import tempfile

from spec.errors import InputError

_OTHERS = 0o077
_BUT_THE_GROUP_READS = 0o037


def read_private(path: pathlib.Path) -> bytes:
    """The bytes of a file that nobody but its owner can read or change.

    Where the file is root's and we are not root, its group may read it: Kubernetes mounts secrets so.

    Raises:
        InputError: it is not there, is no file, or is open to others.
    """
    try:
        with path.open("rb") as file:
            insist_private(path, os.fstat(file.fileno()))
            return file.read()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}.", file=path) from None


def insist_private(path: pathlib.Path, found: os.stat_result) -> None:
    """Refuses a file that is open to others.

    Raises:
        InputError: says its mode, and how to mend it.
    """
    if not stat.S_ISREG(found.st_mode):
        raise InputError("expected a file.", file=path)
    mounted = found.st_uid == 0 and os.geteuid() != 0
    if open_to := stat.S_IMODE(found.st_mode) & (_BUT_THE_GROUP_READS if mounted else _OTHERS):
        whom = "others" if open_to & 0o007 else "its group"
        mode = stat.S_IMODE(found.st_mode)
        raise InputError(f"is open to {whom} (mode {mode:03o}). Mend it: chmod 600 {path}", file=path)


def write_private(path: pathlib.Path, text: str) -> None:
    """Replaces a file in one step, and makes its folder where there is none; only its owner may read it, from its first byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        pathlib.Path(aside).replace(path)
    except OSError:
        pathlib.Path(aside).unlink(missing_ok=True)
        raise
