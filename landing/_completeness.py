"""Whether a span is whole: markers, names of copies under way, and what changes between two looks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import storage
from landing._files import fixed_part, glob
from landing._patterns import Location

SUCCESS = "_SUCCESS"  # Hadoop and Spark write it last
_TEMPORARY = ("_temporary", ".hive-staging")  # folders of a job that has not committed
_MARKERS_LOOKED_FOR = 10  # each is a request to an object store
UNFINISHED_NAMES = (".partial", ".part", ".filepart", ".tmp", ".crdownload", ".inprogress", "._COPYING_")
"""Endings of files that are being copied."""


def unfinished(known: Mapping[int, Location], span: int) -> str:
    """What shows that a span is still being written, in words; empty if nothing does.

    As the tools do that write into folders: Spark and Hadoop have a `_temporary` folder until they commit and a `_SUCCESS`
    afterwards, Hive a `.hive-staging` folder; a copy that is under way ends in `.partial`, `.part`, `.tmp` and the like.
    `_SUCCESS` is asked for where another span of the pattern has it.
    """
    filesystem, folder = _folder(known[span].uri)
    names = _names(filesystem, folder)
    for name in names:
        if name.startswith(_TEMPORARY) or (name.endswith(UNFINISHED_NAMES) and not name.startswith((".", "_"))):
            return f"{folder}/{name}"
    # Files of several spans side by side share a folder, and its marker says nothing about one of them.
    folders = list(dict.fromkeys(_folder(one.uri)[1] for one in known.values()))
    if SUCCESS in names or len(folders) < len(known):
        return ""
    newest = folders[-_MARKERS_LOOKED_FOR:]
    marked = next((f for f in reversed(newest) if SUCCESS in _names(filesystem, f)), None)
    return f"no {folder}/{SUCCESS}, which {marked} has" if marked else ""


def newest_finished(known: Mapping[int, Location]) -> int | None:
    """The newest span that nothing shows to be unfinished; None where there is none."""
    return next((span for span in sorted(known, reverse=True) if not unfinished(known, span)), None)


def is_marked(location: Location) -> bool:
    """Whether `_SUCCESS` lies beside the span's files: they are whole, however young."""
    filesystem, folder = _folder(location.uri)
    return SUCCESS in _names(filesystem, folder)


def fingerprint(location: Location) -> str:
    """A short digest of names, sizes and times of a span's files: it changes while somebody writes. Reads no content."""
    filesystem, path = storage.filesystem(location.uri)
    found = glob(filesystem, path)
    looks = sorted(f"{name}\0{info.get('size')}\0{storage.stamp(info)}" for name, info in found.items())
    return hashlib.sha256("\n".join(looks).encode()).hexdigest()[:16]


def content_digest(location: Location) -> str:
    """SHA-256 over names and content of a span's files; empty where they are not on this machine's disks.

    Reading an object store's files would cost a download, and its ETags, which `fingerprint` looks at, mostly tell as much.
    """
    filesystem, path = storage.filesystem(location.uri)
    if not storage.is_on_disk(filesystem):
        return ""
    digest = hashlib.sha256()
    for name in glob(filesystem, path):
        if filesystem.isfile(name):
            with filesystem.open(name, "rb") as file:
                digest.update(name.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def unread_folders(location: Location) -> list[str]:
    """Folders of a span beside its files, which nobody reads: their names, sorted.

    Only where the pattern ends in one level of files, such as `span-{SPAN}/*`.
    """
    filesystem, path = storage.filesystem(location.uri)
    if "**" in path or not fixed_part(filesystem, path)[1]:
        return []
    names = [
        name.rstrip("/").rpartition("/")[2]
        for name, info in glob(filesystem, path).items()
        if info.get("type") == "directory"
    ]
    return sorted(name for name in names if not name.startswith((".", "_")))


def _folder(uri: str) -> tuple[Any, str]:
    """The folder that a span's pattern names, less what stands for files."""
    filesystem, path = storage.filesystem(uri)
    base, rest = fixed_part(filesystem, path)
    return filesystem, base if rest else base.rpartition("/")[0]


def _names(filesystem: Any, folder: str) -> list[str]:
    try:
        return [entry.rstrip("/").rpartition("/")[2] for entry in filesystem.ls(folder, detail=False)]
    except (FileNotFoundError, NotADirectoryError, NotImplementedError):
        return []
