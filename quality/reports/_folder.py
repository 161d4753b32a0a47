"""A folder of the site, and a manifest of what each file was made from."""

from __future__ import annotations

import contextlib
import json
import pathlib
import secrets
import shutil
from collections.abc import Callable, Mapping

import storage
from quality.reports import _pages, _paths

_MANIFEST = ".site.json"


class Folder:
    """Writes the site's files, except those that would not change.

    A file is written under another name and renamed, so that a reader never sees half of it. Each workload has a manifest of
    its own, so runs of several workloads that end at the same time do not interfere.

    Args:
        part: whose manifest: a workload's folder; empty: the site's own.
    """

    def __init__(self, root: pathlib.Path, part: str = "") -> None:
        self._root, self._manifest = root, root / part / _MANIFEST
        self._known: dict[str, str] = {}
        self.written = self.kept = 0
        with contextlib.suppress(OSError, ValueError):  # without it everything is written again
            self._known = dict(json.loads(self._manifest.read_text(encoding="utf-8")))

    def is_current(self, page: str, key: str) -> bool:
        current = self._known.get(page) == _versioned(key) and (self._root / page).is_file()
        self.kept += current
        return current

    def put(self, page: str, key: str, make: Callable[[], str]) -> None:
        """Writes a file, unless it was made from the same `key` before."""
        if self.is_current(page, key):
            return
        _write(self._root / page, make())
        self._known[page] = _versioned(key)
        self.written += 1

    def copy_documents(self, documents: Mapping[str, str], beside: str) -> dict[str, str]:
        """Copies a validation's further pages into the site, from this machine or an object store.

        Returns:
            Name -> path within the validation's folder; without those that cannot be reached.
        """
        copied = {}
        for name, place in documents.items():
            target = self._root / beside / _paths.slug(name)
            file = place.rstrip("/").rsplit("/", 1)[-1]
            # What was copied once is kept, even if its source is gone.
            if _copy(place, target, whole_folder=name == "data_docs") or (target / file).is_file():
                copied[name] = f"{_paths.slug(name)}/{file}"
        return copied

    def close(self) -> None:
        if self.written:
            _write(self._manifest, json.dumps(self._known))


def _write(path: pathlib.Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    partial.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
    partial.replace(path)


def _copy(place: str, target: pathlib.Path, whole_folder: bool) -> bool:
    """Copies a document, or the whole folder that it lies in; whether that worked."""
    if "://" in place and not place.startswith("file://"):
        return _fetch(place, target, whole_folder)
    source = pathlib.Path(place.removeprefix("file://"))
    if not source.is_file():
        return False
    if whole_folder:  # pages that link to each other
        shutil.copytree(source.parent, target, dirs_exist_ok=True)
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / source.name)
    return True


def _fetch(place: str, target: pathlib.Path, whole_folder: bool) -> bool:
    target.mkdir(parents=True, exist_ok=True)
    try:
        if whole_folder:
            storage.download_unmarked(place.rsplit("/", 1)[0], target)
        else:
            (target / place.rsplit("/", 1)[1]).write_bytes(storage.read(place))
    except Exception:  # gone, forbidden, or a store that this machine does not know: the page says so
        return False
    return True


def _versioned(key: str) -> str:
    return f"{_pages.version()}:{key}"
