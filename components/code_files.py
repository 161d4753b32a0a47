"""Which files a folder of code consists of, and a digest of them.

All of them count, for code may read any: helper modules, vocabularies, JSON, what lies in subfolders and what links lead to.
What an interpreter, an editor or a version control system leaves there does not. Standard library only: every process asks.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import pathlib
from collections.abc import Collection, Iterator, Mapping

DECLARED = ("workload.yaml",)
"""Not code: what it says reaches a component as a parameter, so that a change of the schedule trains nothing anew."""
_LEFT_OUT = (".*", "__pycache__", "*.py[co]", "*~", "#*#", "*.sw[op]", "*.bak", "*.orig", "*.rej")


def files_of(folder: str | os.PathLike[str], without: Collection[str] = DECLARED) -> dict[str, pathlib.Path]:
    """Name below the folder -> path, in the order of the names.

    Args:
        folder: of code; it may be a link, and hold links.
        without: files and folders at its top that are left out.
    """
    found = {n: path for n, path in _walk(pathlib.Path(folder), "", ()) if n.partition("/")[0] not in without}
    return dict(sorted(found.items()))


def hashes(folder: str | os.PathLike[str], without: Collection[str] = DECLARED) -> dict[str, str]:
    """Name below the folder -> SHA-256 of the file, in the order of the names."""
    return {name: sha256(path) for name, path in files_of(folder, without).items()}


def digest(folder: str | os.PathLike[str], without: Collection[str] = DECLARED) -> str:
    """SHA-256 over names and content of a folder's files: an edit of any of them makes a new one."""
    return digest_of(hashes(folder, without))


def digest_of(found: Mapping[str, str]) -> str:
    """The digest of a folder whose files are known."""
    sha = hashlib.sha256()
    for name, content in found.items():
        sha.update(name.encode("utf-8", "surrogateescape") + b"\0" + content.encode())
    return sha.hexdigest()


def sha256(path: str | os.PathLike[str]) -> str:
    with pathlib.Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _walk(folder: pathlib.Path, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, pathlib.Path]]:
    real = os.path.realpath(folder)
    if real in above or not folder.is_dir():
        return  # a link that leads back up
    for entry in os.scandir(folder):
        if any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in _LEFT_OUT):
            continue
        if entry.is_dir():
            yield from _walk(pathlib.Path(entry.path), f"{prefix}{entry.name}/", (*above, real))
        elif entry.is_file():  # not a link to nowhere
            yield f"{prefix}{entry.name}", pathlib.Path(entry.path)
