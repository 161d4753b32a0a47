"""Finding the files of a span, on any file system that fsspec knows."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
import tempfile
from typing import Any

import fsspec

from components.errors import InputError
from components.ingestion.patterns import has_spans, locations


@dataclasses.dataclass(frozen=True)
class Span:
    """One span's files.

    Attributes:
        number: of the span, for dates the days since 1970-01-01; 0 where the URI tells no spans apart.
        files: URLs in a fixed order.
        digest: SHA-256 over names and content.
        version: of the span, the newest there is; 0 where the URI has no `{VERSION}`.
    """

    number: int
    files: tuple[str, ...]
    digest: str
    version: int = 0


def available_spans(uri: str) -> list[int]:
    """The spans that a URI pattern matches, oldest first."""
    return list(locations(uri)) if has_spans(uri) else [0]


def newest_span(uri: str) -> int:
    """The highest span there is.

    Raises:
        InputError: there is none.
    """
    spans = available_spans(uri)
    if not spans:
        raise InputError(f"{uri}: no span found. Put the files of span 1 there, or check data.uri in workload.yaml.")
    return spans[-1]


def resolve_window(uri: str, span: int, window: int, empty_files: bool = False) -> list[Span]:
    """The files of the window that ends with `span`, oldest span first, at most `window` of them.

    Args:
        uri: with `{SPAN}`, or `{YYYY}`, `{MM}` and `{DD}`; `{VERSION}` stands for the newest version of each span.
        span: the newest.
        window: how many.
        empty_files: whether a file may have no bytes: an image folder's reader names all that it cannot use.

    Raises:
        InputError: the newest span has no files, or one of them is empty.
    """
    if not has_spans(uri):
        return [_span(uri, 0, empty_files=empty_files)]
    known = locations(uri)
    if span not in known:
        raise InputError(
            f"{uri}: span {span} is not there. Received spans: {', '.join(map(str, known)) or 'none'}. Lay it out, or name "
            "another --span."
        )
    chosen = [one for number, one in known.items() if number <= span][-window:]
    return [
        dataclasses.replace(_span(one.uri, one.span, empty_files=empty_files), version=one.version) for one in chosen
    ]


def localize(url: str, folder: str) -> pathlib.Path:
    """A local path to read a file from: the file itself, or a copy in `folder`."""
    filesystem, path = fsspec.core.url_to_fs(url)
    if "file" in _protocols(filesystem):
        return pathlib.Path(path)
    target = pathlib.Path(tempfile.mkdtemp(dir=folder)) / path.rpartition("/")[2]
    filesystem.get_file(path, str(target))
    return target


def files_at(uri: str, images: bool = False) -> Span:
    """The files of a path, a folder, a glob pattern or a URL, as span 0.

    Args:
        uri: of a folder: the files in it.
        images: a folder's files at any depth, and they may be empty; their reader names what it cannot use.

    Raises:
        InputError: there are none, or one of them is empty.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(uri)
        if filesystem.isdir(path):
            uri = uri.rstrip("/") + ("/**" if images else "/*")
        return _span(uri, 0, "Check the path.", images)
    except (ImportError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{uri}: cannot be opened: {error}") from None


def _span(
    pattern: str,
    number: int,
    advice: str = "Check the folder, or data.uri in workload.yaml.",
    empty_files: bool = False,
) -> Span:
    filesystem, path = fsspec.core.url_to_fs(pattern)
    found = sorted(filesystem.glob(path)) if any(c in path for c in "*?[") else [path]
    files = [f for f in found if not _is_hidden(f) and filesystem.isfile(f)]
    if not files:
        raise InputError(f"{pattern}: no file found{f' for span {number}' if number else ''}. {advice}")
    for file in files:
        if not empty_files and filesystem.size(file) == 0:
            raise InputError(f"{file}: the file is empty (0 bytes). Deliver it again, or remove it from the span.")
    digest = hashlib.sha256()
    shared = len(os.path.commonpath([file.rpartition("/")[0] for file in files])) + 1
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for file, sha in zip(files, pool.map(lambda f: _sha256(filesystem, f), files), strict=True):
            # Names below what all files share: a copy elsewhere is the same data, an image in another class is not.
            digest.update(file[shared:].encode() + b"\0" + sha)
    return Span(number, tuple(filesystem.unstrip_protocol(f) for f in files), digest.hexdigest())


def _is_hidden(path: str) -> bool:
    # Markers and unfinished files, as Hadoop, Spark and our own writers name them.
    return path.rpartition("/")[2].startswith((".", "_"))


def _sha256(filesystem: Any, path: str) -> bytes:
    sha = hashlib.sha256()
    with filesystem.open(path, "rb") as file:
        while block := file.read(2**22):
            sha.update(block)
    return sha.digest()


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)
