"""What the store needs of the place where it lies; a folder and an object store give it in different ways."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from model_store._errors import StoreError

CHUNK = 1 << 20
LOCK_SECONDS = 60.0


class Files(Protocol):
    """Files below the root of a store. Paths are relative to it, with "/" between parts.

    Attributes:
        uri: the root, as shown to people.
        renames: whether a folder is renamed in one step. If not, a folder counts once its `release.json` is there.
    """

    uri: str
    renames: bool

    def folders(self, path: str) -> list[str]: ...
    def files(self, folder: str) -> dict[str, int]: ...
    def exists(self, path: str) -> bool: ...
    def read(self, path: str) -> bytes: ...
    def chunks(self, path: str) -> Iterator[bytes]: ...
    def copy_in(self, source: pathlib.Path, path: str) -> dict[str, str | int]: ...
    def write(self, path: str, data: bytes) -> None: ...
    def create(self, path: str, data: bytes) -> None: ...
    def append_line(self, path: str, line: str) -> None: ...
    def rename(self, folder: str, target: str) -> None: ...
    def remove(self, folder: str) -> None: ...
    def seconds_since_change(self, folder: str) -> float: ...
    def lock(self, path: str) -> AbstractContextManager[None]: ...
    def local_path(self, path: str) -> pathlib.Path | None: ...


def open_files(uri: str) -> Files:
    """The files of a store, by path or by fsspec URL.

    Raises:
        StoreError: nothing installed can read such a URL.
    """
    from model_store._local import LocalFiles

    if "://" not in uri or uri.startswith("file://"):
        return LocalFiles(pathlib.Path(uri.removeprefix("file://")).expanduser().absolute())
    from model_store._remote import RemoteFiles

    try:
        return RemoteFiles(uri)
    except ImportError as error:
        raise StoreError(f"model store {uri}: {error}") from None
    except ValueError as error:
        raise StoreError(f"model store {uri}: {error}. Use a folder or a URL such as s3://bucket/models.") from None
