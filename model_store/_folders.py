"""A model's folders: which of them are numbered, what the next number is, and what dead publishers left."""

from __future__ import annotations

import pathlib
import uuid
from collections.abc import Mapping, Sequence

from model_store._errors import StoreError
from model_store._labels import HistoryEntry
from model_store._release import RELEASE_FILE
from storage import Files

_UNFINISHED_PREFIX = ".publishing-"  # not a number, so TF Serving ignores it
_STALE_SECONDS = 6 * 3600.0
_SEQUENCE_FILE = ".sequence"


def numbers(files: Files, model: str) -> list[int]:
    """The numbered folders, finished or not, lowest first."""
    return sorted(int(name) for name in files.folders(model) if name.isdecimal() and str(int(name)) == name)


def unfinished(model: str, what: str = "") -> str:
    """Name for a new folder that readers skip, and that a later publication removes if its writer dies."""
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
    """Removes what dead publishers left, once it is hours old: newer leftovers may belong to a running one."""
    for name in files.folders(model):
        left = name.startswith(_UNFINISHED_PREFIX) or (
            name.isdecimal() and not files.renames and not files.exists(f"{model}/{name}/{RELEASE_FILE}")
        )
        if left and files.seconds_since_change(f"{model}/{name}") > _STALE_SECONDS:
            files.remove(f"{model}/{name}")


def files_in(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files below a folder, by their paths relative to it, sorted.

    Raises:
        StoreError: there is a link, which could bring in any file of this machine.
    """
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    for path in found.values():
        if path.is_symlink():
            raise StoreError(
                f"{path} is a link; what is published holds its files itself. Replace it by a copy of {path.readlink()}."
            )
    return {name: path for name, path in found.items() if path.is_file()}


def saved_model_files(source: pathlib.Path | Mapping[str, pathlib.Path]) -> Mapping[str, pathlib.Path]:
    """The files of a SavedModel, by their paths relative to its folder.

    Raises:
        StoreError: it is no SavedModel, has a link in it, or a file of the store's own name.
    """
    files = source if isinstance(source, Mapping) else files_in(source)
    if "saved_model.pb" not in files:
        found = sorted({name.partition("/")[0] for name in files})[:5] or "no folder"
        where = "what is to be published" if isinstance(source, Mapping) else source
        raise StoreError(f"{where}: expected a SavedModel, a folder with saved_model.pb. Received: {found}.")
    if RELEASE_FILE in files:
        raise StoreError(f"{files[RELEASE_FILE]}: the store writes a file of that name. Remove it from the SavedModel.")
    return files
