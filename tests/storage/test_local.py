from __future__ import annotations

import errno
import pathlib
import subprocess
import sys

import pytest

import storage

ROOT = pathlib.Path(__file__).resolve().parents[2]
_HOLD = """
import pathlib, sys, time
import storage
with storage.exclusive(pathlib.Path(sys.argv[1])) as file:
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_file_is_free_once_its_holder_is_killed(tmp_path: pathlib.Path) -> None:
    lock = tmp_path / "new" / "lock"
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(lock)], cwd=ROOT, stdout=subprocess.PIPE)
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    with pytest.raises(storage.Busy, match=f"another process has held {lock} for 0 s"), storage.exclusive(lock, 0):
        pass
    holder.kill()
    holder.wait()
    with storage.exclusive(lock, 5):
        pass


def test_a_write_that_fails_leaves_the_file_before(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = storage.open_files(str(tmp_path))
    files.write("one", b"1")
    monkeypatch.setattr(storage._local.os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        files.write("one", b"2")
    assert files.files("") == {"one": 1} and files.read("one") == b"1"


def test_a_file_is_created_whole_or_not_at_all(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = storage.open_files(str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(storage._local.os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "full")))
        with pytest.raises(OSError, match="full"):
            files.swap("one", b"1", None)
    assert files.files("") == {}
    files.swap("one", b"1", None)
    with pytest.raises(storage.Conflict):
        files.swap("one", b"2", None)
    assert files.files("") == {"one": 1} and files.read("one") == b"1"


def test_a_file_system_without_hard_links_will_do(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(pathlib.Path, "hardlink_to", refuse)
    files = storage.open_files(str(tmp_path))
    files.swap("one", b"1", None)
    with pytest.raises(storage.Conflict):
        files.swap("one", b"2", None)
    assert files.files("") == {"one": 1} and files.read("one") == b"1"
