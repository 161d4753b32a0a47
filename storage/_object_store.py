"""Files in an object store, where a file's name is all there is to a folder."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from storage._clients import filesystem
from storage._conditional import Conditional, conditional, write_once
from storage._files import CHUNK, StillHeld
from storage._lease import lease
from storage._retrying import retrying


class ObjectStore:
    """Files below a URL that fsspec understands. Listings are not kept: other machines write there.

    Raises:
        ValueError: nobody knows the URL's protocol.
        ImportError: the library for it is not installed.
    """

    renames = False

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._fs, root = filesystem(self.uri, fresh=True)
        self._root = root.rstrip("/")

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    @functools.cached_property
    def _conditional(self) -> Conditional:
        return conditional(self._fs, self.uri)

    def folders(self, path: str) -> list[str]:
        try:
            entries = retrying()(self._fs.ls, self._at(path), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(
            {entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry["type"] == "directory"}
        )

    def files(self, folder: str) -> dict[str, int]:
        return {name: int(info["size"]) for name, info in self.listing(folder).items()}

    def listing(self, folder: str) -> dict[str, dict[str, Any]]:
        """fsspec's facts about every file below a folder, by path relative to it, sorted."""
        prefix = self._at(folder).lstrip("/") + "/"
        found = {
            name.lstrip("/").removeprefix(prefix): info
            for name, info in retrying()(self._fs.find, self._at(folder), detail=True).items()
            if name.lstrip("/").startswith(prefix) and info["type"] == "file"
        }
        return dict(sorted(found.items()))

    def exists(self, path: str) -> bool:
        return bool(self._fs.exists(self._at(path)))

    def read(self, path: str) -> bytes:
        return bytes(retrying()(self._fs.cat_file, self._at(path)))

    def read_version(self, path: str) -> tuple[bytes, str | None]:
        try:
            return retrying()(self._conditional.read, self._at(path))
        except FileNotFoundError:
            return b"", None

    def chunks(self, path: str) -> Iterator[bytes]:
        with self._fs.open(self._at(path), "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def copy_in(self, source: pathlib.Path, path: str) -> dict[str, str | int]:
        said = _digest(source)
        self.put(source, path)
        return said

    def put(self, source: pathlib.Path, path: str) -> None:
        """Brings a local file up."""
        retrying()(self._fs.put_file, str(source), self._at(path))

    def copy_out(self, path: str, target: pathlib.Path) -> dict[str, str | int]:
        target.parent.mkdir(parents=True, exist_ok=True)
        retrying()(self._fs.get_file, self._at(path), str(target))
        return _digest(target)

    def write(self, path: str, data: bytes) -> None:
        retrying()(self._fs.pipe_file, self._at(path), data)

    def swap(self, path: str, data: bytes, version: str | None) -> str:
        return retrying()(write_once, self._conditional, self._at(path), data, version)

    def rename(self, folder: str, target: str) -> None:
        raise NotImplementedError("an object store has no folders to rename")

    def remove(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            retrying()(self._fs.rm, self._at(folder), recursive=True)

    def remove_file(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            retrying()(self._fs.rm_file, self._at(path))

    def seconds_since_change(self, folder: str) -> float:
        newest = max((self._fs.modified(name).timestamp() for name in self._fs.find(self._at(folder))), default=0.0)
        return time.time() - newest

    def lock(self, path: str) -> contextlib.AbstractContextManager[StillHeld]:
        return lease(self._conditional, self._at(path), f"{self.uri}/{path}")

    def local_path(self, path: str) -> pathlib.Path | None:
        return None


def _digest(path: pathlib.Path) -> dict[str, str | int]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": path.stat().st_size}
