"""One contract for a folder, an object store in memory and an S3-protocol server."""

from __future__ import annotations

import pathlib
import uuid

import pytest

import storage
from spec.errors import InputError


@pytest.fixture(params=["folder", "memory", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> storage.Files:
    if request.param == "folder":
        return storage.open_files(str(tmp_path / "files"))
    root = f"memory://{uuid.uuid4().hex}" if request.param == "memory" else request.getfixturevalue("conditional_s3")
    return storage.open_files(f"{root}/{uuid.uuid4().hex}")


def test_what_is_written_is_listed_and_read(files: storage.Files, tmp_path: pathlib.Path) -> None:
    assert (files.folders(""), files.exists("a/b/one")) == ([], False)
    files.write("a/b/one", b"1")
    files.write("a/two", b"22")
    files.write("a/two", b"222")
    assert files.files("a") == {"b/one": 1, "two": 3}
    assert (files.folders(""), files.folders("a")) == (["a"], ["b"])
    assert files.read("a/two") == b"".join(files.chunks("a/two")) == b"222"
    (tmp_path / "source").write_bytes(b"3")
    assert files.copy_in(tmp_path / "source", "c/three")["bytes"] == 1
    files.copy_out("c/three", tmp_path / "below" / "target")
    assert (tmp_path / "below" / "target").read_bytes() == b"3"
    assert files.seconds_since_change("a") < 60
    files.remove_file("a/two")
    files.remove("c")
    files.remove("c")
    files.remove_file("c/three")
    assert (files.exists("a/two"), files.folders("")) == (False, ["a"])
    with pytest.raises(FileNotFoundError):
        files.read("a/two")


def test_a_file_is_written_only_while_it_is_what_was_read(files: storage.Files) -> None:
    assert files.read_version("one") == (b"", None)
    first = files.swap("one", b"1", None)
    assert files.read_version("one") == (b"1", first)
    with pytest.raises(storage.Conflict):
        files.swap("one", b"another's", None)
    second = files.swap("one", b"2", first)
    with pytest.raises(storage.Conflict):
        files.swap("one", b"another's", first)
    assert files.read_version("one") == (b"2", second)
    files.remove_file("one")
    with pytest.raises(storage.Conflict):
        files.swap("one", b"another's", second)
    assert not files.exists("one")


def test_a_lock_has_one_holder_and_is_free_again(files: storage.Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage._lease, "LOCK_SECONDS", 0.3)
    with files.lock("lock") as still_held:
        still_held()
        if not files.renames:  # a folder's lock is waited for a minute
            with pytest.raises(storage.Busy, match="another process has held"), files.lock("lock"):
                pass
    with files.lock("lock"):
        pass


def test_a_url_that_nothing_reads_is_one_line() -> None:
    with pytest.raises(InputError, match="carrier-pigeon://x: Protocol not known"):
        storage.open_files("carrier-pigeon://x")
