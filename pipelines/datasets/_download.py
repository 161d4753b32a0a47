"""Files that come over the network once, and are kept in the dataset cache."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.client
import os
import pathlib
import shutil
import urllib.request
import zlib
from collections.abc import Sequence

from spec.errors import InputError

_TIMEOUT_S = 30


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A gzipped file with an official address.

    Attributes:
        url: its official address; the last part is its name in the cache.
        size: of the uncompressed content, in bytes.
        sha256: of the uncompressed content: mirrors compress differently, the content is the same.
    """

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def cached_contents(files: Sequence[RemoteFile], cache: pathlib.Path) -> list[bytes]:
    """The verified, uncompressed contents, from the cache or, the first time, from the network.

    Raises:
        InputError: a cached file is damaged, or one is missing and cannot be downloaded.
    """
    missing = [file for file in files if not (cache / file.name).is_file()]
    for file in missing:
        try:
            _download(file, cache)
        except (
            OSError,
            http.client.HTTPException,
        ) as error:  # urllib's errors, time-outs and TLS's are OSErrors
            wanted = ", ".join(one.name for one in missing)
            raise InputError(
                f"{file.url}: cannot be downloaded: {getattr(error, 'reason', None) or error}. On a machine without a "
                f"network, put {wanted} into {cache} (TRAINYARD_DATASETS names the folder above it)."
            ) from error
    return [verified_content(file, cache / file.name) for file in files]


def verified_content(file: RemoteFile, path: pathlib.Path) -> bytes:
    """Uncompresses a file and checks it against what is known of it.

    Raises:
        InputError: it is not gzip, is cut short, or is another content.
    """
    mend = f"Delete it, and it is downloaded from {file.url}, or replace it."
    try:
        with gzip.open(path) as stream:
            # One byte more than expected shows that it is too long, without unpacking whatever it may be.
            content = stream.read(file.size + 1)
    except EOFError:
        raise InputError(f"{path}: truncated: the compressed stream ends early. {mend}") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged or not a gzip file: {error}. {mend}") from None
    if len(content) != file.size:
        received = len(content) if len(content) < file.size else f"more than {file.size}"
        raise InputError(f"{path}: {file.size} bytes expected once uncompressed. Received: {received}. {mend}")
    digest = hashlib.sha256(content).hexdigest()
    if digest != file.sha256:
        raise InputError(f"{path}: content with SHA-256 {file.sha256} expected. Received: {digest}. {mend}")
    return content


def _download(file: RemoteFile, cache: pathlib.Path) -> None:
    """Puts a file into the cache by one rename, once it is known to be whole."""
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = cache / f".{file.name}.{os.getpid()}"
    try:
        with (
            urllib.request.urlopen(file.url, timeout=_TIMEOUT_S) as response,  # noqa: S310 - addresses are constants
            unfinished.open("wb") as out,
        ):
            shutil.copyfileobj(response, out)
        verified_content(file, unfinished)
        unfinished.rename(cache / file.name)
    finally:
        unfinished.unlink(missing_ok=True)
