"""Which client reaches a URL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any


def is_remote(uri: str) -> bool:
    """Whether a URI is in an object store; a path, a shared volume's too, is not."""
    return "://" in uri and not uri.startswith("file://")


def filesystem(uri: str, fresh: bool = False) -> tuple[Any, str]:
    """fsspec's file system for a path or URL, and the path in it.

    Args:
        fresh: listings are not kept, because other processes write there.

    Raises:
        ValueError: nobody knows the URL's protocol.
        ImportError: the library for it is not installed.
    """
    import fsspec.core

    found, path = fsspec.core.url_to_fs(uri, **({"use_listings_cache": False} if fresh else {}))
    return found, path


def open_file(uri: str) -> IO[bytes]:
    """A file of a path or URL, to be read and closed by the caller."""
    found, path = filesystem(uri)
    file: IO[bytes] = found.open(path, "rb")
    return file


def is_on_disk(filesystem: Any) -> bool:
    """Whether a file system is this machine's own."""
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def stamp(info: Mapping[str, Any]) -> str:
    """What changes with every write of a file, from fsspec's facts about it; empty where the store says no such thing."""
    return str(next((info[key] for key in ("mtime", "ETag", "etag", "LastModified", "created") if info.get(key)), ""))
