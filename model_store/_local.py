"""A store in a folder: every file is synced before a rename makes it visible, so that a crash loses nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import time
import uuid
from collections.abc import Iterator

from model_store._errors import StoreError
from model_store._files import CHUNK, LOCK_SECONDS


class LocalFiles:
    """Files of a local (or mounted) folder."""

    renames = True

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root
        self.uri = str(root)

    def folders(self, path: str) -> list[str]:
        try:
            with os.scandir(self._root / path) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def files(self, folder: str) -> dict[str, int]:
        return dict(sorted(_walk(str(self._root / folder), "")))

    def exists(self, path: str) -> bool:
        return (self._root / path).exists()

    def read(self, path: str) -> bytes:
        return (self._root / path).read_bytes()

    def chunks(self, path: str) -> Iterator[bytes]:
        with (self._root / path).open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def copy_in(self, source: pathlib.Path, path: str) -> dict[str, str | int]:
        """Copies a file in and syncs it; digest and size are those of the bytes that were written."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        digest, size = hashlib.sha256(), 0
        with source.open("rb") as reader, target.open("xb") as writer:
            while chunk := reader.read(CHUNK):
                writer.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            _sync(writer.fileno(), writer.flush)
        return {"sha256": digest.hexdigest(), "bytes": size}

    def write(self, path: str, data: bytes) -> None:
        """Replaces a file in one step: a reader sees the old or the new one, whole."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with aside.open("xb") as file:
                file.write(data)
                _sync(file.fileno(), file.flush)
            aside.replace(target)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def create(self, path: str, data: bytes) -> None:
        with (self._root / path).open("xb") as file:
            file.write(data)
            _sync(file.fileno(), file.flush)

    def append_line(self, path: str, line: str) -> None:
        """Appends a line; a line that a crash cut short before it stays on a line of its own."""
        with (self._root / path).open("a+b") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
            cut_short = size > 0 and file.read(1) != b"\n"
            file.write(b"\n" * cut_short + line.encode() + b"\n")
            _sync(file.fileno(), file.flush)

    def rename(self, folder: str, target: str) -> None:
        for name, _, _ in os.walk(self._root / folder):
            _sync_folder(pathlib.Path(name))
        (self._root / folder).rename(self._root / target)
        _sync_folder((self._root / target).parent)

    def remove(self, folder: str) -> None:
        shutil.rmtree(self._root / folder, ignore_errors=True)

    def seconds_since_change(self, folder: str) -> float:
        newest = None
        # Another process may rename or remove it meanwhile: unlike rglob, walk passes over what is gone.
        for name, _, files in os.walk(self._root / folder):
            for path in (pathlib.Path(name), *(pathlib.Path(name, file) for file in files)):
                with contextlib.suppress(FileNotFoundError):
                    newest = max(newest or 0.0, path.stat().st_mtime)
        return 0.0 if newest is None else time.time() - newest

    @contextlib.contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Holds a lock that the kernel frees when its holder dies, kill -9 included."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _acquire(handle, target)
            yield
        finally:
            os.close(handle)

    def local_path(self, path: str) -> pathlib.Path | None:
        return self._root / path


def _acquire(handle: int, target: pathlib.Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StoreError(
                    f"another process has held {target} for {LOCK_SECONDS:.0f} s. "
                    f"`fuser {target}` names it; try again when it is done."
                ) from None
            time.sleep(0.02)


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.stat(follow_symlinks=False).st_size


def _sync(handle: int, flush: object = None) -> None:
    if callable(flush):
        flush()
    os.fsync(handle)


def _sync_folder(folder: pathlib.Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
