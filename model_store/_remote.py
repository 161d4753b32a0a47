"""A store in an object store, where a version counts once its release.json is there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import pathlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

from model_store._errors import StoreError
from model_store._files import CHUNK, LOCK_SECONDS

_LEASE_SECONDS = 30.0


class RemoteFiles:
    """Files below a URL that fsspec understands.

    Exclusive creation (the lock, release.json) needs a store with conditional writes: S3, Google Cloud Storage, Azure.
    """

    renames = False

    def __init__(self, uri: str) -> None:
        import fsspec.core

        self.uri = uri.rstrip("/")
        self._fs: Any
        self._fs, root = fsspec.core.url_to_fs(self.uri)
        self._root = root.rstrip("/")

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    def folders(self, path: str) -> list[str]:
        self._fs.invalidate_cache()
        try:
            entries = self._fs.ls(self._at(path), detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(
            {entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in entries if entry["type"] == "directory"}
        )

    def files(self, folder: str) -> dict[str, int]:
        self._fs.invalidate_cache()
        prefix = self._at(folder).lstrip("/") + "/"
        found = self._fs.find(self._at(folder), detail=True)
        return dict(sorted((name.lstrip("/").removeprefix(prefix), int(info["size"])) for name, info in found.items()))

    def exists(self, path: str) -> bool:
        self._fs.invalidate_cache()
        return bool(self._fs.exists(self._at(path)))

    def read(self, path: str) -> bytes:
        return bytes(self._fs.cat_file(self._at(path)))

    def chunks(self, path: str) -> Iterator[bytes]:
        with self._fs.open(self._at(path), "rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def copy_in(self, source: pathlib.Path, path: str) -> dict[str, str | int]:
        digest = hashlib.sha256()
        with source.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
        self._fs.put_file(str(source), self._at(path))
        return {"sha256": digest.hexdigest(), "bytes": source.stat().st_size}

    def write(self, path: str, data: bytes) -> None:
        self._fs.pipe_file(self._at(path), data)

    def create(self, path: str, data: bytes) -> None:
        try:
            self._fs.pipe_file(self._at(path), data, mode="create")
        except FileExistsError:
            raise
        except OSError as error:
            # s3fs tells a failed precondition as "invalid argument".
            if error.errno == errno.EINVAL or self.exists(path):
                raise FileExistsError(errno.EEXIST, "exists", self._at(path)) from error
            raise

    def append_line(self, path: str, line: str) -> None:
        """Reads and writes the whole object: only under the lock."""
        try:
            before = self.read(path)
        except FileNotFoundError:
            before = b""
        self.write(path, before + line.encode() + b"\n")

    def rename(self, folder: str, target: str) -> None:
        raise NotImplementedError("an object store has no folders to rename")

    def remove(self, folder: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm(self._at(folder), recursive=True)

    def seconds_since_change(self, folder: str) -> float:
        newest = max((self._fs.modified(name).timestamp() for name in self._fs.find(self._at(folder))), default=0.0)
        return time.time() - newest

    @contextlib.contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Holds a lock object with a lease: a holder that died is overtaken after half a minute."""
        holder = uuid.uuid4().hex
        self._acquire(path, holder)
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError, ValueError):
                if json.loads(self.read(path))["holder"] == holder:
                    self._fs.rm_file(self._at(path))

    def _acquire(self, path: str, holder: str) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while time.monotonic() < deadline:
            record = json.dumps({"holder": holder, "until": time.time() + _LEASE_SECONDS}).encode()
            try:
                return self.create(path, record)
            except FileExistsError:
                self._overtake(path)
            time.sleep(0.05)
        raise StoreError(
            f"another process has held {self.uri}/{path} for {LOCK_SECONDS:.0f} s. Try again when it is done."
        )

    def _overtake(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError):
            if json.loads(self.read(path))["until"] < time.time():
                self._fs.rm_file(self._at(path))

    def local_path(self, path: str) -> pathlib.Path | None:
        return None
