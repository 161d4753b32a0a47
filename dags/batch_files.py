"""Which files of an inbox have no predictions yet. Standard library, landing and storage only.

The record is kept beside the results: `<out>/<file>-<digest>/` appears in one rename when a file's predictions are complete, and
`<out>/.files/<file>-<digest>.json` says which file it was and, if it was refused, why. So a crash may repeat work, but never a
result.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import storage
from landing import UNFINISHED_NAMES, glob

INDEX = "index.json"
_NOTES = ".files"


@dataclass(frozen=True)
class InboxFile:
    """A file to predict for.

    Attributes:
        uri: where it is.
        name: of its results: file name and digest.
        size: in bytes.
        stamp: modification time or ETag, to notice changes.
        digest: SHA-256 over URI and content.
    """

    uri: str
    name: str
    size: int
    stamp: str
    digest: str


def pending(pattern: str, out: Path, most: int = 1000) -> list[InboxFile]:
    """The files of a pattern that have neither results nor a refusal, in the order of their names; noted in `out`.

    Args:
        pattern: glob pattern or fsspec URL.
        out: folder of the results.
        most: return at most this many; the rest are left for the next call.
    """
    noted = {(note["uri"], note["size"], note["stamp"]): note for note in notes(out)}
    found: list[InboxFile] = []
    for uri, size, stamp in _files(pattern):
        note = noted.get((uri, size, stamp))
        one = InboxFile(**{k: note[k] for k in InboxFile.__annotations__}) if note else _identified(uri, size, stamp)
        known = note or _read(_note_file(out, one.name))
        if (known and known.get("refused")) or is_done(out, one.name):
            continue
        _write(_note_file(out, one.name), asdict(one) | {"refused": None})
        found.append(one)
        if len(found) == most:
            break
    return found


def is_done(out: Path, name: str) -> bool:
    """Whether a file's predictions are complete."""
    return (out / name / INDEX).is_file()


def refuse(out: Path, name: str, reason: str) -> None:
    """Notes that no predictions can be made for a file: it is not tried again until its content changes."""
    note = _read(_note_file(out, name)) or {}
    _write(_note_file(out, name), note | {"refused": reason})


def notes(out: Path) -> Iterator[dict[str, Any]]:
    """The notes about the files seen so far."""
    for file in sorted((out / _NOTES).glob("*.json")):
        note = _read(file)
        if note is not None and isinstance(note.get("name"), str) and isinstance(note.get("uri"), str):
            yield note


def write_index(out: Path) -> dict[str, Any]:
    """Rebuilds `index.json`, the index of all results, and replaces it atomically.

    Returns:
        The index: `files`, with the status, version, rows and folder of each, and `totals`.
    """
    files = [_entry(out, note) for note in notes(out)]
    totals = {
        "predicted": sum(one["status"] == "predicted" for one in files),
        "refused": sum(one["status"] == "refused" for one in files),
        "pending": sum(one["status"] == "pending" for one in files),
        "rows": sum(one["rows"] or 0 for one in files),
        "failed_rows": sum(one["failed_rows"] or 0 for one in files),
    }
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    index = {"written_at": at, "totals": totals, "files": files}
    _write(out / INDEX, index)
    return index


def _entry(out: Path, note: dict[str, Any]) -> dict[str, Any]:
    result = _read(out / note["name"] / INDEX)
    status = "predicted" if result is not None else "refused" if note.get("refused") else "pending"
    result = result or {}
    return {
        "file": note["uri"],
        "status": status,
        "reason": note.get("refused") if status == "refused" else None,
        "model": result.get("model"),
        "version": result.get("version"),
        "rows": result.get("rows"),
        "predicted_rows": result.get("predicted"),
        "failed_rows": result.get("failed"),
        "folder": str(out / note["name"]) if status == "predicted" else None,
    }


def _files(pattern: str) -> Iterator[tuple[str, int, str]]:
    filesystem, path = storage.filesystem(pattern)
    filesystem.invalidate_cache()
    for name, info in glob(filesystem, path).items():
        base = name.rpartition("/")[2]
        if info.get("type") != "file" or base.startswith((".", "_")) or base.endswith(UNFINISHED_NAMES):
            continue
        uri = name if path == pattern or pattern.startswith("/") else filesystem.unstrip_protocol(name)
        yield uri, int(info.get("size") or 0), storage.stamp(info)


def _identified(uri: str, size: int, stamp: str) -> InboxFile:
    digest = hashlib.sha256(uri.encode() + b"\0")
    with storage.open_file(uri) as file:
        while block := file.read(2**22):
            digest.update(block)
    base = re.sub(r"[^A-Za-z0-9._-]", "_", uri.rpartition("/")[2])[:100]
    return InboxFile(uri, f"{base}-{digest.hexdigest()[:12]}", size, stamp, digest.hexdigest())


def _note_file(out: Path, name: str) -> Path:
    return out / _NOTES / f"{name}.json"


def _read(file: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _write(file: Path, value: dict[str, Any]) -> None:
    storage.write(str(file), json.dumps(value, indent=1).encode())
