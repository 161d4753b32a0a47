"""Files that come over the network once, or are put there by hand, and are kept in the dataset cache."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import hashlib
import http.client
import os
import pathlib
import shutil
import tarfile
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Sequence

from spec.errors import InputError

_TIMEOUT_S = 30


@dataclasses.dataclass(frozen=True)
class CachedFile:
    """A file of the dataset cache.

    Attributes:
        name: in the cache.
        size: in bytes; of a name that ends with .gz, of the uncompressed content: mirrors compress differently, the content is
            the same.
        sha256: of the same bytes.
        url: its official address, or with `member` that of the archive that holds it; empty: it has none.
        member: its path in that archive (zip or tar); the cache keeps the member alone.
        made_of: where there is no address: what the file is, and of what it was made.
    """

    name: str
    size: int
    sha256: str
    url: str = ""
    member: str = ""
    made_of: str = ""


def cached_contents(files: Sequence[CachedFile], cache: pathlib.Path) -> list[bytes]:
    """The verified, uncompressed contents, from the cache or, the first time, from the network.

    Raises:
        InputError: a cached file is damaged, or one is missing and cannot be downloaded.
    """
    missing = [file for file in files if not (cache / file.name).is_file()]
    names = ", ".join(file.name for file in missing)
    for file in missing:
        if not file.url:
            raise InputError(
                f"{file.name}: there is no address to download it from; {_by_hand(names, cache)}. It is {file.made_of}."
            )
        download(file.url, cache / file.name, functools.partial(_finish, file), names)
    return [verified_content(file, cache / file.name) for file in files]


def verified_content(file: CachedFile, path: pathlib.Path) -> bytes:
    """Reads a file, uncompresses it if it is gzipped, and checks it against what is known of it.

    Raises:
        InputError: it is cut short, not the gzip that its name says, or another content.
    """
    mend = f"Delete it, and it is downloaded from {file.url}, or replace it." if file.url else "Replace it."
    zipped = file.name.endswith(".gz")
    try:
        with gzip.open(path) if zipped else path.open("rb") as stream:
            # One byte more than expected shows that it is too long, without unpacking whatever it may be.
            content = stream.read(file.size + 1)
    except EOFError:
        raise InputError(f"{path}: truncated: the compressed stream ends early. {mend}") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or not a gzip file: {error}. {mend}") from None
    if len(content) != file.size:
        received = len(content) if len(content) < file.size else f"more than {file.size}"
        expected = f"{file.size} bytes expected{' once uncompressed' if zipped else ''}"
        raise InputError(f"{path}: {expected}. Received: {received}. {mend}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise InputError(f"{path}: content with SHA-256 {file.sha256} expected. Received: {digest}. {mend}")
    return content


def download(url: str, target: pathlib.Path, finish: Callable[[pathlib.Path], object], names: str = "") -> None:
    """Puts a file into the cache by one rename, once `finish` finds nothing wrong with it.

    Args:
        names: of all files that are missing, for the error; default: the target's.

    Raises:
        InputError: it cannot be downloaded; says what to put where.
    """
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response,  # noqa: S310 - constants, or a workload's own
            unfinished.open("wb") as out,
        ):
            shutil.copyfileobj(response, out)
        finish(unfinished)
        unfinished.rename(target)
    except (OSError, http.client.HTTPException) as error:  # urllib's errors, time-outs and TLS's are OSErrors
        raise InputError(
            f"{url}: cannot be downloaded: {getattr(error, 'reason', None) or error}. On a machine without a "
            f"network, {_by_hand(names or target.name, target.parent)}."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _by_hand(names: str, cache: pathlib.Path) -> str:
    return f"put {names} into {cache} (TRAINYARD_DATASETS names the folder above it)"


def _finish(file: CachedFile, path: pathlib.Path) -> None:
    if file.member:
        path.write_bytes(_taken_out(file, path))
    verified_content(file, path)


def _taken_out(file: CachedFile, archive: pathlib.Path) -> bytes:
    """One member of a zip or a tar, and of one that is too long no more than shows it."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as zipped, zipped.open(file.member) as content:
                return content.read(file.size + 1)
        with tarfile.open(archive) as tar:
            stream = tar.extractfile(file.member)
            return stream.read(file.size + 1) if stream else b""  # a folder has no content
    except (KeyError, zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise InputError(
            f"{file.url}: a zip or tar archive with {file.member} expected. Received: {error}. Try again later, or put "
            f"{file.name} into the dataset cache yourself."
        ) from None
