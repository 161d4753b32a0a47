"""Which client reaches a URL."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from spec.errors import InputError
from storage._files import Files


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


def is_on_disk(filesystem: Any) -> bool:
    """Whether a file system is this machine's own."""
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def stamp(info: Mapping[str, Any]) -> str:
    """What changes with every write of a file, from fsspec's facts about it; empty where the store says no such thing."""
    return str(next((info[key] for key in ("mtime", "ETag", "etag", "LastModified", "created") if info.get(key)), ""))


def open_files(uri: str) -> Files:
    """The files below a folder or URL.

    Raises:
        InputError: nothing installed can read such a URL.
    """
    from storage._local import LocalFolder
    from storage._object_store import ObjectStore

    if not is_remote(uri):
        return LocalFolder(pathlib.Path(uri.removeprefix("file://")).expanduser().absolute())
    try:
        return ObjectStore(uri)
    except ImportError as error:
        raise InputError(f"{uri}: {error}") from None
    except ValueError as error:
        raise InputError(f"{uri}: {error}. Use a folder or a URL such as s3://bucket/models.") from None
