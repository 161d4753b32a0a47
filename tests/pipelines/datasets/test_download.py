"""Files over the network: fetched once, checked, cached by one rename."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import pathlib
import tarfile
import zipfile

import pytest

from pipelines.datasets._download import CachedFile, cached_contents
from spec.errors import InputError

_CONTENT = b"0123456789" * 1000


def _file(url: str, name: str = "some.gz") -> CachedFile:
    return CachedFile(name, len(_CONTENT), hashlib.sha256(_CONTENT).hexdigest(), url + name)


def _zip() -> bytes:
    with zipfile.ZipFile(made := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/some.txt", _CONTENT)
    return made.getvalue()


def _tar() -> bytes:
    with tarfile.open(fileobj=(made := io.BytesIO()), mode="w:gz") as archive:
        member = tarfile.TarInfo("folder/some.txt")
        member.size = len(_CONTENT)
        archive.addfile(member, io.BytesIO(_CONTENT))
    return made.getvalue()


def test_a_download_is_cached(served: tuple[pathlib.Path, str], tmp_path: pathlib.Path) -> None:
    folder, url = served
    cache = tmp_path / "cache"
    (folder / "some.gz").write_bytes(gzip.compress(_CONTENT))
    assert cached_contents([_file(url)], cache) == [_CONTENT]
    (folder / "some.gz").unlink()
    assert cached_contents([_file(url)], cache) == [_CONTENT]
    assert [path.name for path in cache.iterdir()] == ["some.gz"]


@pytest.mark.parametrize(
    "received", [gzip.compress(_CONTENT, mtime=0)[:-30], gzip.compress(b"something else", mtime=0), b"<html>"]
)
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


def test_a_plain_file_is_kept_as_it_is(served: tuple[pathlib.Path, str], tmp_path: pathlib.Path) -> None:
    folder, url = served
    (folder / "some.txt").write_bytes(_CONTENT)
    assert cached_contents([_file(url, "some.txt")], tmp_path / "cache") == [_CONTENT]
    (tmp_path / "cache" / "some.txt").write_bytes(_CONTENT[:-1])
    with pytest.raises(InputError, match=r"some\.txt: 10000 bytes expected\. Received: 9999\. Delete it, and"):
        cached_contents([_file(url, "some.txt")], tmp_path / "cache")


@pytest.mark.parametrize("archive", [_zip(), _tar()])
def test_of_an_archive_the_member_is_kept(
    served: tuple[pathlib.Path, str], tmp_path: pathlib.Path, archive: bytes
) -> None:
    folder, url = served
    (folder / "all").write_bytes(archive)
    file = dataclasses.replace(_file(url, "some.txt"), url=url + "all", member="folder/some.txt")
    assert cached_contents([file], tmp_path / "cache") == [_CONTENT]
    assert (tmp_path / "cache" / "some.txt").read_bytes() == _CONTENT
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["some.txt"]


@pytest.mark.parametrize(("archive", "member"), [(_zip(), "other"), (_tar(), "other"), (b"<html>", "folder/some.txt")])
def test_an_archive_without_the_member_is_named(
    served: tuple[pathlib.Path, str], tmp_path: pathlib.Path, archive: bytes, member: str
) -> None:
    folder, url = served
    (folder / "all").write_bytes(archive)
    file = dataclasses.replace(_file(url, "some.txt"), url=url + "all", member=member)
    with pytest.raises(InputError, match=rf"/all: a zip or tar archive with {member} expected"):
        cached_contents([file], tmp_path / "cache")
    assert not list((tmp_path / "cache").iterdir())


def test_what_has_no_address_is_put_there_by_hand(tmp_path: pathlib.Path) -> None:
    file = dataclasses.replace(_file("", "some.txt"), url="", made_of="ten digits, a thousand times")
    with pytest.raises(InputError, match=rf"some\.txt: there is no address.*put some\.txt into {tmp_path}.*ten digits"):
        cached_contents([file], tmp_path)
    (tmp_path / "some.txt").write_bytes(b"else")
    with pytest.raises(InputError, match=r"10000 bytes expected\. Received: 4\. Replace it"):
        cached_contents([file], tmp_path)
