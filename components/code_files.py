"""Which files a folder of code consists of, and a digest of them.

All of them count, for code may read any: helper modules, vocabularies, JSON, what lies in subfolders and what links lead to.
What an interpreter, an editor or a version control system leaves there does not. Standard library only: every process asks.
"""

from __future__ import annotations

import fnmatch
import functools
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
    """SHA-256 of a file. One of more than a megabyte is read once in a process, for as long as it looks the same."""
    look = (path := pathlib.Path(path)).stat()
    if look.st_size < 2**20:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return _sha256_of_big(path.resolve(), look.st_ino, look.st_size, look.st_ctime_ns)


@functools.lru_cache(maxsize=1024)
def _sha256_of_big(path: pathlib.Path, *_look: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _walk(folder: pathlib.Path, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, pathlib.Path]]:
    real = os.path.realpath(folder)
    if real in above or not folder.is_dir():
        return  # a link that leads back up
    for path in visible(folder):
        if path.is_dir():
            yield from _walk(path, f"{prefix}{path.name}/", (*above, real))
        elif path.is_file():  # not a link to nowhere
            yield f"{prefix}{path.name}", path


def visible(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """What a folder holds that counts as code."""
    for entry in os.scandir(folder):
        if not any(fnmatch.fnmatchcase(entry.name, pattern) for pattern in _LEFT_OUT):
            yield pathlib.Path(entry.path)
