"""Files over the network: fetched once, checked, cached by one rename."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import pathlib
import threading
from collections.abc import Iterator

import pytest

from pipelines.datasets._download import RemoteFile, cached_contents
from spec.errors import InputError

_CONTENT = b"0123456789" * 1000


@pytest.fixture
def served(tmp_path: pathlib.Path) -> Iterator[tuple[pathlib.Path, str]]:
    """A folder, and the address under which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _file(url: str) -> RemoteFile:
    return RemoteFile(url + "some.gz", len(_CONTENT), hashlib.sha256(_CONTENT).hexdigest())


def test_a_download_is_cached(served: tuple[pathlib.Path, str], tmp_path: pathlib.Path) -> None:
    folder, url = served
    cache = tmp_path / "cache"
    (folder / "some.gz").write_bytes(gzip.compress(_CONTENT))
    assert cached_contents([_file(url)], cache) == [_CONTENT]
    (folder / "some.gz").unlink()
    assert cached_contents([_file(url)], cache) == [_CONTENT]
    assert [path.name for path in cache.iterdir()] == ["some.gz"]


@pytest.mark.parametrize("received", [gzip.compress(_CONTENT)[:-30], gzip.compress(b"something else"), b"<html>"])
def test_a_bad_download_is_not_cached(
    served: tuple[pathlib.Path, str], tmp_path: pathlib.Path, received: bytes
) -> None:
    folder, url = served
    (folder / "some.gz").write_bytes(received)
    with pytest.raises(InputError, match=r"some\.gz"):
        cached_contents([_file(url)], tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_what_cannot_be_downloaded_says_which_files_go_where(
    served: tuple[pathlib.Path, str], tmp_path: pathlib.Path
) -> None:
    _, url = served
    with pytest.raises(InputError, match=rf"{url}some.gz: cannot be downloaded.*put some.gz into {tmp_path}"):
        cached_contents([_file(url)], tmp_path)
