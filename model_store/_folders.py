"""A model's folders: which of them are numbered, what the next number is, and what dead publishers left."""

from __future__ import annotations

import pathlib
import uuid
from collections.abc import Sequence

from model_store._errors import StoreError
from model_store._labels import HistoryEntry
from model_store._release import RELEASE_FILE
from storage import Files

_UNFINISHED_PREFIX = ".publishing-"  # not a number, so TF Serving passes over it
_STALE_SECONDS = 6 * 3600.0
_SEQUENCE_FILE = ".sequence"


def numbers(files: Files, model: str) -> list[int]:
    """The numbered folders, finished or not, lowest first."""
    return sorted(int(name) for name in files.folders(model) if name.isdecimal() and str(int(name)) == name)


def unfinished(model: str, what: str = "") -> str:
    """A new folder that readers pass over, and that a later publication removes should its maker die."""
    return f"{model}/{_UNFINISHED_PREFIX}{what}{uuid.uuid4().hex}"


def allot_version(files: Files, model: str, history: Sequence[HistoryEntry]) -> int:
    """The next version, noted before use: a version that was deleted, or never finished, is not used again.

    Raises:
        Conflict: another publisher noted one meanwhile.
    """
    path = f"{model}/{_SEQUENCE_FILE}"
    noted, seen = files.read_version(path)
    last = int(noted) if noted.strip().isdigit() else 0
    version = max([last, *numbers(files, model), *(entry.version or 0 for entry in history)]) + 1
    files.swap(path, f"{version}\n".encode(), seen)
    return version


def remove_stale(files: Files, model: str) -> None:
    """What dead publishers left, once it is hours old: younger leftovers may belong to one at work."""
    for name in files.folders(model):
        left = name.startswith(_UNFINISHED_PREFIX) or (
            name.isdecimal() and not files.renames and not files.exists(f"{model}/{name}/{RELEASE_FILE}")
        )
        if left and files.seconds_since_change(f"{model}/{name}") > _STALE_SECONDS:
            files.remove(f"{model}/{name}")


def saved_model_files(source: pathlib.Path) -> list[str]:
    """The files of a SavedModel, relative to its folder, sorted.

    Raises:
        StoreError: it is no SavedModel, or has a file of the store's own name.
    """
    if not (source / "saved_model.pb").is_file():
        found = sorted(path.name for path in source.iterdir())[:5] if source.is_dir() else "no folder"
        raise StoreError(f"{source}: expected a SavedModel, a folder with saved_model.pb. Received: {found}.")
    if (source / RELEASE_FILE).exists():
        raise StoreError(
            f"{source}/{RELEASE_FILE}: the store writes a file of that name. Remove it from the SavedModel."
        )
    return sorted(path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file())
