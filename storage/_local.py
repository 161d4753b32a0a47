"""Files in a folder: every file is synced before a rename makes it visible, so that a crash loses nothing."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import pathlib
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from typing import IO

import tenacity

from storage._errors import Busy, Conflict
from storage._files import CHUNK, LOCK_SECONDS, StillHeld

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)
"""What file systems without hard links say, such as FAT's and many of FUSE's."""


@contextlib.contextmanager
def exclusive(path: pathlib.Path, wait_s: float = LOCK_SECONDS) -> Iterator[IO[str]]:
    """Holds a lock file while the body runs. The kernel frees it when its holder dies, kill -9 included.

    Args:
        path: of the file; made where it is not there, and left there.
        wait_s: seconds to wait for another holder.

    Yields:
        The open file, whose content is the holder's to use.

    Raises:
        Busy: another process did not let go in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(BlockingIOError),
                stop=tenacity.stop_after_delay(wait_s),
                wait=tenacity.wait_random(0.01, 0.05),
                reraise=True,
            )(fcntl.flock, file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"another process has held {path} for {wait_s:.0f} s. `fuser {path}` names it; try again when it is done."
            ) from None
        yield file


class LocalFolder:
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
        try:
            return dict(sorted(_walk(str(self._root / folder), "")))
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def exists(self, path: str) -> bool:
        return (self._root / path).exists()

    def read(self, path: str) -> bytes:
        return (self._root / path).read_bytes()

    def read_version(self, path: str) -> tuple[bytes, str | None]:
        try:
            content = self.read(path)
        except FileNotFoundError:
            return b"", None
        return content, hashlib.sha256(content).hexdigest()

    def chunks(self, path: str) -> Iterator[bytes]:
        with _open_itself(self._root / path) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def copy_in(self, source: pathlib.Path, path: str) -> dict[str, str | int]:
        """Copies a file in and syncs it; digest and size are those of the bytes that were written."""
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as reader, target.open("xb") as writer:
            said = _copy(reader, writer)
            _sync(writer)
        return said

    def copy_out(self, path: str, target: pathlib.Path) -> dict[str, str | int]:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _open_itself(self._root / path) as reader, target.open("wb") as writer:
            return _copy(reader, writer)

    def write(self, path: str, data: bytes) -> None:
        target = self._root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with aside.open("xb") as file:
                file.write(data)
                _sync(file)
            aside.replace(target)
        except OSError:
            aside.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def swap(self, path: str, data: bytes, version: str | None) -> str:
        target = self._root / path
        if version is None:
            self._create(target, data)
        else:
            with exclusive(target.with_name(".swapping")):
                if self.read_version(path)[1] != version:
                    raise Conflict(errno.EEXIST, "is no longer what was read", str(target))
                self.write(path, data)
        return hashlib.sha256(data).hexdigest()

    def _create(self, target: pathlib.Path, data: bytes) -> None:
        """Writes a file that is not there yet, whole or not at all: unlike a rename, a link never replaces one."""
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            with aside.open("xb") as file:
                file.write(data)
                _sync(file)
            try:
                target.hardlink_to(aside)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                with target.open("xb") as file:  # a reader may see it while it grows
                    file.write(data)
                    _sync(file)
        finally:
            aside.unlink(missing_ok=True)
        _sync_folder(target.parent)

    def rename(self, folder: str, target: str) -> None:
        for name, _, _ in os.walk(self._root / folder):
            _sync_folder(pathlib.Path(name))
        (self._root / folder).rename(self._root / target)
        _sync_folder((self._root / target).parent)

    def remove(self, folder: str) -> None:
        shutil.rmtree(self._root / folder, ignore_errors=True)

    def remove_file(self, path: str) -> None:
        (self._root / path).unlink(missing_ok=True)

    def seconds_since_change(self, folder: str) -> float:
        newest = None
        # Another process may rename or remove it meanwhile: unlike rglob, walk passes over what is gone.
        for name, _, files in os.walk(self._root / folder):
            for path in (pathlib.Path(name), *(pathlib.Path(name, file) for file in files)):
                with contextlib.suppress(FileNotFoundError):
                    newest = max(newest or 0.0, path.stat().st_mtime)
        return 0.0 if newest is None else time.time() - newest

    @contextlib.contextmanager
    def lock(self, path: str) -> Iterator[StillHeld]:
        with exclusive(self._root / path):
            yield lambda: None  # the kernel takes it from nobody who lives

    def local_path(self, path: str) -> pathlib.Path | None:
        return self._root / path


def _walk(folder: str, prefix: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name, entry.stat(follow_symlinks=False).st_size


def _open_itself(path: pathlib.Path) -> IO[bytes]:
    """A file to be read that is one itself. A link may lead anywhere, and what is behind a pipe or a device may never end."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(errno.ELOOP, "it is a link, and links are not followed", str(path)) from None
    file = os.fdopen(handle, "rb", buffering=0)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return file


def _copy(reader: IO[bytes], writer: IO[bytes]) -> dict[str, str | int]:
    """Digest and size are those of the bytes that were written."""
    digest, size = hashlib.sha256(), 0
    while chunk := reader.read(CHUNK):
        writer.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return {"sha256": digest.hexdigest(), "bytes": size}


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: pathlib.Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
