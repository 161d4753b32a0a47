"""Finding the files of a span, on any file system that fsspec knows.

A span that is still being written is not read: see `landing.unfinished`.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import fsspec

from components.errors import InputError
from landing import (
    MOST_SPAN_DIGITS,
    SUCCESS,
    UNFINISHED_NAMES,
    Location,
    glob,
    has_spans,
    is_dangling,
    locations,
    unfinished,
)


@dataclasses.dataclass(frozen=True)
class Span:
    """One span's files.

    Attributes:
        number: of the span, for dates the days since 1970-01-01; 0 where the URI tells no spans apart.
        files: URLs in a fixed order.
        digest: SHA-256 over names and content.
        sizes: of the files, in bytes.
        version: of the span, the newest there is; 0 where the URI has no `{VERSION}`.
    """

    number: int
    files: tuple[str, ...]
    digest: str
    version: int = 0
    sizes: tuple[int, ...] = ()


def available_spans(uri: str) -> list[int]:
    """The spans that a URI pattern matches, oldest first."""
    return list(locations(uri)) if has_spans(uri) else [0]


def newest_span(uri: str) -> int:
    """The highest span that is not still being written.

    Raises:
        InputError: there is none.
    """
    if not has_spans(uri):
        return 0
    known = locations(uri)
    if not known:
        raise InputError(f"{uri}: no span found. Put the files of span 1 there, or check data.uri in workload.yaml.")
    for number in reversed(known):
        _insist_on_a_number(known[number])
        if not (sign := unfinished(known, number)):
            return number
    raise InputError(f"{uri}: every span is still being written. Received: {sign}. Wait, or finish one.")


def resolve_window(uri: str, span: int, window: int, empty_files: bool = False) -> list[Span]:
    """The files of the window that ends with `span`, oldest span first, at most `window` of them.

    Args:
        uri: with `{SPAN}`, or `{YYYY}`, `{MM}` and `{DD}`; `{VERSION}` stands for the newest version of each span.
        span: the newest.
        window: how many.
        empty_files: whether a file may have no bytes: an image folder's reader names all that it cannot use.

    Raises:
        InputError: a span has no files, one of them is empty, or it is still being written.
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
    for one in chosen:
        _insist_on_a_number(one)
        if one.rival:
            raise InputError(
                f"{uri}: span {one.span} is there twice, as {one.rival} and {one.uri}. Remove or rename one of the two."
            )
        if sign := unfinished(known, one.span):
            raise InputError(
                f"{uri}: span {one.span} is still being written. Received: {sign}. Wait until it is whole; a folder that a "
                f"broken job left is to be removed, and one that is whole lacks only an empty file {SUCCESS}."
            )
    return [
        dataclasses.replace(_span(one.uri, one.span, empty_files=empty_files), version=one.version) for one in chosen
    ]


def _insist_on_a_number(one: Location) -> None:
    if one.span >= 10**MOST_SPAN_DIGITS:
        raise InputError(
            f"{one.uri}: span {one.span} has more than {MOST_SPAN_DIGITS} digits. Rename it: a span is a number that counts up."
        )


def is_local(url: str) -> bool:
    """Whether a file is read where it lies."""
    filesystem, _ = fsspec.core.url_to_fs(url)
    protocol = filesystem.protocol
    return "file" in ((protocol,) if isinstance(protocol, str) else protocol)


def localize(url: str, folder: str) -> pathlib.Path:
    """A local path to read a file from: the file itself, or a copy in `folder`."""
    filesystem, path = fsspec.core.url_to_fs(url)
    if is_local(url):
        return pathlib.Path(path)
    target = pathlib.Path(tempfile.mkdtemp(dir=folder)) / path.rpartition("/")[2]
    filesystem.get_file(path, str(target))
    return target


@contextlib.contextmanager
def local_copy(url: str, scratch: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """A local path to read a file from; a copy of a remote one lies below `scratch` and is gone afterwards.

    Errors of the user's name the file as it was asked for, not its copy.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = localize(url, folder)
        try:
            yield path
        except InputError as error:
            raise InputError(str(error).replace(str(path), url.removeprefix("file://"))) from error


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
    found = glob(filesystem, path)
    if lost := next((f for f, info in found.items() if not _is_hidden(f) and is_dangling(filesystem, f, info)), None):
        raise InputError(f"{lost}: is a link to what is not there. Deliver the file, or remove the link.")
    if odd := next((f for f in found if not _is_utf8(f)), None):
        raise InputError(f"{odd!r}: the file's name is not UTF-8. Rename it.")
    files = [f for f in found if not _is_hidden(f) and filesystem.isfile(f)]
    if not files:
        raise InputError(f"{pattern}: no file found{f' for span {number}' if number else ''}. {advice}")
    if partial := next((f for f in files if f.endswith(UNFINISHED_NAMES)), None):
        raise InputError(
            f"{partial}: is still being written, by its name. Wait until it has its final one, or remove it."
        )
    before = [_look(filesystem, file) for file in files]
    for file, (size, _) in zip(files, before, strict=True):
        if not empty_files and size == 0:
            raise InputError(f"{file}: the file is empty (0 bytes). Deliver it again, or remove it from the span.")
    digest = hashlib.sha256()
    shared = len(os.path.commonpath([file.rpartition("/")[0] for file in files])) + 1
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for file, sha in zip(files, pool.map(lambda f: _sha256(filesystem, f), files), strict=True):
            # Names below what all files share: a copy elsewhere is the same data, an image in another class is not.
            digest.update(file[shared:].encode() + b"\0" + sha)
    filesystem.invalidate_cache()
    for file, look in zip(files, before, strict=True):
        if (now := _look(filesystem, file)) != look:
            raise InputError(
                f"{file}: changed while it was read ({look[0]:,} bytes, then {now[0]:,}), so it is still being written. "
                "Wait until it is whole; write elsewhere and rename, or leave a marker."
            )
    return Span(
        number,
        tuple(filesystem.unstrip_protocol(f) for f in files),
        digest.hexdigest(),
        sizes=tuple(size for size, _ in before),
    )


def insist_on_sizes(files: Sequence[str], sizes: Sequence[int]) -> None:
    """Raises InputError if a file is not as long as it was when its content was hashed.

    Args:
        files: URLs.
        sizes: their sizes then, in bytes.
    """
    for url, size in zip(files, sizes, strict=True):
        filesystem, path = fsspec.core.url_to_fs(url)
        filesystem.invalidate_cache()
        if (now := _look(filesystem, path)[0]) != size:
            raise InputError(
                f"{url.removeprefix('file://')}: has {now:,} bytes, and had {size:,} when the run began, so it is still being "
                "written. Run again when it is whole."
            )


def _look(filesystem: Any, path: str) -> tuple[int, str]:
    try:
        info = filesystem.info(path)
    except FileNotFoundError:
        raise InputError(f"{path}: is gone since the files were listed. Run again when the span is whole.") from None
    # Object stores say ETag or LastModified; where none of them is said, the size has to do.
    stamp = next((info[key] for key in ("mtime", "ETag", "etag", "LastModified", "created") if info.get(key)), "")
    return int(info.get("size") or 0), str(stamp)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_hidden(path: str) -> bool:
    # Markers and unfinished files, as Hadoop, Spark and our own writers name them.
    return path.rpartition("/")[2].startswith((".", "_"))


def _sha256(filesystem: Any, path: str) -> bytes:
    sha = hashlib.sha256()
    with filesystem.open(path, "rb") as file:
        while block := file.read(2**22):
            sha.update(block)
    return sha.digest()
