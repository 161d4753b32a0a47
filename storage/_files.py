"""What is asked of a place with files; a folder and an object store do it in different ways."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

CHUNK = 1 << 20
LOCK_SECONDS = 60.0
"""How long a lock is waited for."""

StillHeld = Callable[[], None]
"""Raises LeaseLost where another process may hold the lock by now: to be called just before something is committed."""


class Files(Protocol):
    """Files below a root. Paths are relative to it, with "/" between parts; "" is the root itself.

    A version is an opaque text that changes with every write of a file: an ETag, a generation, a digest.

    Attributes:
        uri: the root, as shown to people.
        renames: whether a folder is renamed in one step.
    """

    uri: str
    renames: bool

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder, sorted; none where there is no such folder."""

    def files(self, folder: str) -> dict[str, int]:
        """Size in bytes of every file below a folder, by path relative to it; none where there is no such folder."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""

    def read(self, path: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""

    def read_version(self, path: str) -> tuple[bytes, str | None]:
        """Content and version of a file; nothing and None where there is none."""

    def chunks(self, path: str) -> Iterator[bytes]:
        """The content of a file, about a mebibyte at a time. A link in a local folder is refused."""

    def copy_in(self, source: pathlib.Path, path: str) -> dict[str, str | int]:
        """Copies a local file; its `sha256` and its size in `bytes`."""

    def copy_out(self, path: str, target: pathlib.Path) -> dict[str, str | int]:
        """Copies a file to a local one, whose folder is made; `sha256` and size in `bytes` of the copy.

        Raises:
            FileNotFoundError: there is none.
            OSError: in a local folder, it is a link.
        """

    def write(self, path: str, data: bytes) -> None:
        """Writes a file in one step: a reader sees the old or the new one, whole."""

    def swap(self, path: str, data: bytes, version: str | None) -> str:
        """Writes a file if it still has this version (None: if there is none), and returns the new one. Raises Conflict."""

    def rename(self, folder: str, target: str) -> None:
        """Gives a folder another name in one step."""

    def remove(self, folder: str) -> None:
        """Removes a folder with all that is in it, if it is there."""

    def remove_file(self, path: str) -> None:
        """Removes a file, if it is there."""

    def seconds_since_change(self, folder: str) -> float:
        """Since the last write to any file of a folder."""

    def lock(self, path: str) -> AbstractContextManager[StillHeld]:
        """Holds a lock; waits for another holder. Raises Busy after LOCK_SECONDS."""

    def local_path(self, path: str) -> pathlib.Path | None:
        """Where a file lies on this machine; None if it does not."""
