"""Publishers that die, share a store, or run out of disk: real processes, a real kill -9, a real full file system."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from model_store import ModelStore, StoreError

_PUBLISH = """
import sys
from model_store import ModelStore, ReleaseDraft
store, export, key, count = sys.argv[1:]
for number in range(int(count)):
    ModelStore(store).publish("taxi", export, ReleaseDraft(publication_key=f"{key}-{number}", task="binary"))
"""


def publisher(store: ModelStore, export: pathlib.Path, key: str, count: int = 1) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _PUBLISH, store.uri, str(export), key, str(count)])


def visible_is_intact(store: ModelStore) -> None:
    for version in store.versions("taxi"):
        assert store.verify("taxi", version) == ()
    folder = pathlib.Path(store.uri) / "taxi"
    numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())
    assert numbers == store.versions("taxi"), "TF Serving would see a version that is not published"
    store.labels("taxi")
    store.history("taxi")


@pytest.fixture
def large_export(make_export) -> pathlib.Path:
    """Large enough that a publication takes a while to write and sync."""
    folder = make_export()
    for shard in range(12):
        (folder / f"variables/variables.data-{shard:05d}-of-00012").write_bytes(os.urandom(1 << 20))
    return folder


@pytest.mark.parametrize("files_written", [1, 6, 14])
def test_kill_9_in_the_middle_of_publish(tmp_path, make_export, large_export, draft, files_written):
    store = ModelStore(tmp_path / "models")
    store.publish("taxi", make_export(name="small"), draft())
    store.promote("taxi", 1, reason="r", actor="a")
    child = publisher(store, large_export, "killed")
    written: list[pathlib.Path] = []
    while child.poll() is None and len(written) < files_written:
        written = [path for path in (tmp_path / "models/taxi").glob(".publishing-*/**/*") if path.is_file()]
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL, "the publisher was done before it could be killed"

    assert store.versions("taxi") == [1]
    visible_is_intact(store)
    assert store.resolve("taxi", "stable").version == 1
    assert store.publish("taxi", large_export, draft("killed-0")).version == 2  # the same publication, tried again
    visible_is_intact(store)


def test_kill_9_at_any_moment(tmp_path, make_export):
    store, export = ModelStore(tmp_path / "models"), make_export()
    chance = random.Random(7)
    for attempt in range(8):
        child = publisher(store, export, f"attempt-{attempt}", count=1000)
        before = len(store.versions("taxi"))
        while child.poll() is None and len(store.versions("taxi")) < before + 2:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.03))
        child.kill()
        child.wait()
        visible_is_intact(store)
    versions = store.versions("taxi")
    assert len(versions) >= 16
    assert len({store.release("taxi", version).publication_key for version in versions}) == len(versions)


def test_leftovers_of_dead_publishers_go_once_they_are_old(tmp_path, make_export, draft):
    store = ModelStore(tmp_path / "models")
    store.publish("taxi", make_export(), draft("run-1"))
    old, fresh = (tmp_path / f"models/taxi/.publishing-{name}" for name in ("old", "fresh"))
    for folder in (old, fresh):
        folder.mkdir()
        (folder / "saved_model.pb").write_text("half")
    for path in (old / "saved_model.pb", old):
        os.utime(path, (time.time() - 7 * 3600,) * 2)
    store.publish("taxi", make_export(), draft("run-2"))
    assert not old.exists()
    assert fresh.exists()


def test_publishing_processes_at_once_never_collide(tmp_path, make_export):
    store, export = ModelStore(tmp_path / "models"), make_export()
    children = [publisher(store, export, f"publisher-{n}", count=4) for n in range(5)]
    assert [child.wait() for child in children] == [0] * 5
    assert store.versions("taxi") == list(range(1, 21))
    visible_is_intact(store)
    assert not list((tmp_path / "models/taxi").glob(".publishing-*"))


def test_one_publication_by_several_processes_is_one_release(tmp_path, make_export):
    store, export = ModelStore(tmp_path / "models"), make_export()
    children = [publisher(store, export, "same") for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    assert len(store.versions("taxi")) == 1


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root (CAP_SYS_ADMIN)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_full_disk_is_one_clear_line_and_leaves_nothing(small_disk, make_export, large_export, draft):
    store = ModelStore(small_disk / "models")
    store.publish("taxi", make_export(name="small"), draft("run-1"))
    with pytest.raises(StoreError) as raised:
        store.publish("taxi", large_export, draft("run-2"))
    assert str(raised.value).startswith(
        f"no space left on the device while publishing taxi to {store.uri}; nothing was"
    )
    assert "\n" not in str(raised.value)
    assert store.versions("taxi") == [1]
    visible_is_intact(store)
    assert not list((small_disk / "models/taxi").glob(".publishing-*"))
    assert store.publish("taxi", make_export(name="small"), draft("run-3")).version == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written(tmp_path, make_export, draft):
    (tmp_path / "models").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="Permission denied while publishing taxi"):
        ModelStore(tmp_path / "models").publish("taxi", make_export(), draft())


def test_a_full_cache_is_one_clear_line_and_leaves_nothing(small_disk, tmp_path, large_export, draft):
    store = ModelStore(tmp_path / "models")
    store.publish("taxi", large_export, draft("run-1"))
    copies = store.copies(small_disk / "cache")
    with pytest.raises(
        StoreError, match=r"^no space left on the device while fetching .*name a folder on a larger disk\.$"
    ):
        copies.take("taxi", 1)
    copies.keep([])
    assert not list((small_disk / "cache").iterdir())
