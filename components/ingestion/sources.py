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
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import storage
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
from spec.errors import ChangedError, InputError


@dataclasses.dataclass(frozen=True)
class Span:
    """One span's files.

    Attributes:
        number: of the span, for dates the days since 1970-01-01; 0 where the URI tells no spans apart.
        files: URLs in a fixed order.
        digest: SHA-256 over names and content.
        version: the newest one of the span; 0 where the URI has no `{VERSION}`.
    """

    number: int
    files: tuple[str, ...]
    digest: str
    version: int = 0


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
        empty_files: whether a file may be empty; the reader of images reports all unusable files itself.

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


def localize(url: str, folder: str) -> pathlib.Path:
    """A local path to read a file from: the file itself, or a copy in `folder`."""
    filesystem, path = storage.filesystem(url)
    if storage.is_on_disk(filesystem):
        return pathlib.Path(path)
    target = pathlib.Path(tempfile.mkdtemp(dir=folder)) / path.rpartition("/")[2]
    filesystem.get_file(path, str(target))
    return target


@contextlib.contextmanager
def local_copy(url: str, scratch: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
    """A local path to read a file from; a remote file is copied into `scratch` for as long.

    Errors name the file that was asked for, not its copy.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        path = localize(url, folder)
        try:
            yield path
        except InputError as error:
            raise error.renamed(path, url.removeprefix("file://")) from error


def files_at(uri: str, images: bool = False) -> Span:
    """The files of a path, a folder, a glob pattern or a URL, as span 0.

    Args:
        uri: of a folder: the files in it.
        images: whether to search folders recursively and to allow empty files, which the reader reports itself.

    Raises:
        InputError: there are none, or one of them is empty.
    """
    try:
        filesystem, path = storage.filesystem(uri)
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
    filesystem, path = storage.filesystem(pattern)
    found = glob(filesystem, path)
    if lost := next((f for f, info in found.items() if not _is_hidden(f) and is_dangling(filesystem, f, info)), None):
        raise InputError("is a link to what is not there. Deliver the file, or remove the link.", file=lost)
    check_names(found)
    files = [f for f in found if not _is_hidden(f) and filesystem.isfile(f)]
    if not files:
        raise InputError(f"{pattern}: no file found{f' for span {number}' if number else ''}. {advice}")
    if partial := next((f for f in files if f.endswith(UNFINISHED_NAMES)), None):
        raise InputError(
            f"{partial}: is still being written, by its name. Wait until it has its final one, or remove it."
        )
    if not empty_files and (empty := next((f for f in files if _look(filesystem, f).size == 0), None)):
        raise InputError("the file is empty (0 bytes). Deliver it again, or remove it from the span.", file=empty)
    urls = tuple(filesystem.unstrip_protocol(f) for f in files)
    return Span(number, urls, _digest(filesystem, files))


def check_names(files: Iterable[str]) -> None:
    """Checks that names can be written into JSON, metadata and reports.

    Raises:
        InputError: one of them is not UTF-8.
    """
    for name in files:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError(f"{name!r}: the file's name is not UTF-8. Rename it.") from None


@contextlib.contextmanager
def as_hashed(files: Sequence[str], digest: str) -> Iterator[None]:
    """Checks after files were read that they are still the ones that were hashed before.

    If this process has hashed them, nothing is read again: it compares their size and time stamp, which every write changes.

    Args:
        files: URLs, in the order of `Span.files`.

    Raises:
        ChangedError: one of them was written meanwhile; whatever else was found wrong with it may be due to that.
    """
    try:
        yield
    except (InputError, OSError):
        _insist(files, digest)
        raise
    _insist(files, digest)


def _insist(files: Sequence[str], digest: str) -> None:
    filesystem = storage.filesystem(files[0])[0]
    filesystem.invalidate_cache()
    paths = [storage.filesystem(url)[1] for url in files]
    for path in paths:
        then, _ = _HASHED.get((id(filesystem), path), (None, b""))
        if then and then != (now := _look(filesystem, path)):
            raise _changed(path, then, now)
    if (current := _digest(filesystem, paths)) != digest:
        raise ChangedError(
            f"{paths[0]} (and what lies beside it)", f"its digest was {digest[:12]}, and now it is {current[:12]}"
        )


@dataclasses.dataclass(frozen=True)
class _Look:
    """A file's size and time stamp.

    Attributes:
        stamp: changes with every write: on disk the inode and its change time, which programs cannot set; of an object its ETag, or
            its store's time stamp. Empty if there is none: such a file is always hashed again.
    """

    size: int
    stamp: str


_HASHED: dict[tuple[int, str], tuple[_Look, bytes]] = {}
"""What this process has hashed, by file system and path: a run hashes the same files before and after loading TensorFlow."""
_TICK_NS = 20_000_000  # two writes within a tick of the kernel's clock (4 or 10 ms) have the same time


def _digest(filesystem: Any, files: Sequence[str]) -> str:
    """SHA-256 over names and content of files that do not change while they are hashed."""
    if storage.is_on_disk(filesystem) and time.time_ns() - max(os.stat(f).st_ctime_ns for f in files) < _TICK_NS:  # noqa: PTH116
        time.sleep(_TICK_NS / 1e9)
    digest = hashlib.sha256()
    shared = len(os.path.commonpath([file.rpartition("/")[0] for file in files])) + 1
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for file, sha in zip(files, pool.map(lambda f: _hashed(filesystem, f), files), strict=True):
            # Names relative to the common folder: a copy elsewhere is the same data, an image in another class is not.
            digest.update(file[shared:].encode() + b"\0" + sha)
    return digest.hexdigest()


def _hashed(filesystem: Any, path: str) -> bytes:
    before, key = _look(filesystem, path), (id(filesystem), path)
    then, sha = _HASHED.get(key, (None, b""))
    if then == before:
        return sha
    sha = _sha256(filesystem, path)
    filesystem.invalidate_cache()
    if (now := _look(filesystem, path)) != before:
        raise _changed(path, before, now)
    if before.stamp:
        _HASHED[key] = before, sha
    return sha


def _look(filesystem: Any, path: str) -> _Look:
    try:
        if storage.is_on_disk(filesystem):
            stat = os.stat(path)  # noqa: PTH116 it may be any kind of path
            return _Look(stat.st_size, f"{stat.st_ino} {stat.st_mtime_ns} {stat.st_ctime_ns}")
        info = filesystem.info(path)
    except FileNotFoundError:
        raise ChangedError(path, "it was there, and is gone") from None
    return _Look(int(info.get("size") or 0), storage.stamp(info))


def _changed(path: str, then: _Look, now: _Look) -> ChangedError:
    sizes = f"{then.size:,} bytes, then {now.size:,}"
    return ChangedError(path, sizes if then.size != now.size else "it was written again, with as many bytes")


def _is_hidden(path: str) -> bool:
    # Markers and unfinished files, as Hadoop, Spark and our own writers name them.
    return path.rpartition("/")[2].startswith((".", "_"))


def _sha256(filesystem: Any, path: str) -> bytes:
    with filesystem.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
