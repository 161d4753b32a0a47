"""What is served is what was signed: copies that nobody else can change, whatever happens to the store meanwhile."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

import storage
from model_store import ModelStore, ReleaseDraft, StoreError

MakeExport = Callable[..., pathlib.Path]
Draft = Callable[[str], ReleaseDraft]


@pytest.fixture
def published(store: ModelStore, make_export: MakeExport, draft: Draft) -> ModelStore:
    for number in (1, 2):
        store.publish("taxi", make_export(f"weights {number}"), draft(f"run-{number}"))
    return store


@pytest.fixture
def folder_store(tmp_path: pathlib.Path, make_export: MakeExport, draft: Draft) -> ModelStore:
    store = ModelStore(tmp_path / "models")
    store.publish("taxi", make_export("weights 1"), draft("run-1"))
    return store


def kept(cache: pathlib.Path) -> list[str]:
    return sorted(path.name.rpartition("-")[0] for path in cache.iterdir())


@pytest.mark.parametrize("attempt", range(5))
def test_bytes_that_are_swapped_after_they_were_read_are_not_loaded(
    attempt: int, folder_store: ModelStore, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file changes right after its last byte was read for the check, which is before it is loaded."""
    served = pathlib.Path(folder_store.uri) / "taxi" / "1" / "saved_model.pb"
    copy_out = storage.LocalFolder.copy_out

    def copy_and_swap(files: storage.LocalFolder, path: str, target: pathlib.Path) -> dict[str, str | int]:
        said = copy_out(files, path, target)
        if path.endswith("saved_model.pb"):
            (aside := served.with_name("aside")).write_text(f"an attacker's graph {attempt}")
            aside.replace(served)
        return said

    monkeypatch.setattr(storage.LocalFolder, "copy_out", copy_and_swap)
    loaded = folder_store.copies(tmp_path / "cache").take("taxi", 1)
    assert served.read_text() == f"an attacker's graph {attempt}"
    assert (loaded / "saved_model.pb").read_text() == "saved_model.pb: weights 1"


def test_a_link_is_refused_however_long_its_name(folder_store: ModelStore, tmp_path: pathlib.Path) -> None:
    file = pathlib.Path(folder_store.uri) / "taxi" / "1" / "saved_model.pb"
    content = file.read_bytes()
    (tmp_path / ("x" * (len(content) - 3))).write_bytes(content)
    file.unlink()
    file.symlink_to("../" + "x" * (len(content) - 3))
    assert file.lstat().st_size == len(content)
    is_link = r"saved_model\.pb was changed after publishing \(it is a link, and links are not followed\)"
    with pytest.raises(StoreError, match=is_link):
        folder_store.fetch("taxi", 1, tmp_path / "cache")
    with pytest.raises(StoreError, match=is_link):
        folder_store.promote("taxi", 1, reason="r", actor="a")
    file.unlink()
    os.mkfifo(file)
    assert "(it is no regular file)" in folder_store.verify("taxi", 1)[0], "a pipe without a writer is not waited for"


def test_a_folder_behind_a_link_is_refused(folder_store: ModelStore, tmp_path: pathlib.Path) -> None:
    variables = pathlib.Path(folder_store.uri) / "taxi" / "1" / "variables"
    variables.rename(tmp_path / "elsewhere")
    variables.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"variables/variables\.index is missing"):
        folder_store.copies(tmp_path / "cache").take("taxi", 1)


def test_what_is_refused_leaves_no_copy(published: ModelStore, tmp_path: pathlib.Path) -> None:
    copies = published.copies(tmp_path / "cache")
    storage.open_files(published.uri).write("taxi/1/variables/variables.index", b"other weights")
    with pytest.raises(StoreError, match=r"variables\.index was changed after publishing"):
        copies.take("taxi", 1)
    copies.keep([])
    assert kept(tmp_path / "cache") == []


def test_a_release_json_that_changes_between_two_reads_is_read_once(
    published: ModelStore, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    kind = type(storage.open_files(published.uri))
    read = kind.read

    def noting(files: storage.Files, path: str) -> bytes:
        reads.append(path)
        return read(files, path)

    monkeypatch.setattr(kind, "read", noting)
    published.fetch("taxi", 1, tmp_path / "cache")
    assert reads.count("taxi/1/release.json") == 1


def test_a_good_copy_is_shared_and_a_damaged_one_is_not(published: ModelStore, tmp_path: pathlib.Path) -> None:
    first, second = (published.copies(tmp_path / "cache") for _ in range(2))
    taken = first.take("taxi", 1)
    assert second.take("taxi", 1) == taken
    (taken / "saved_model.pb").write_text("saved_model.pb: weights 9")
    again = second.take("taxi", 1)
    assert again != taken and (again / "saved_model.pb").read_text() == "saved_model.pb: weights 1"


def test_copies_go_when_nobody_serves_them(published: ModelStore, tmp_path: pathlib.Path) -> None:
    ours, theirs = (published.copies(tmp_path / "cache") for _ in range(2))
    ours.take("taxi", 1)
    ours.take("taxi", 2)
    theirs.take("taxi", 1)
    ours.keep([("taxi", 2)])
    assert kept(tmp_path / "cache") == ["trainyard-release-taxi-1", "trainyard-release-taxi-2"], "1 is still theirs"
    theirs.keep([])
    assert kept(tmp_path / "cache") == ["trainyard-release-taxi-2"]
    (tmp_path / "cache" / "not-ours").mkdir()
    ours.keep([])
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["not-ours"]


def test_what_a_killed_server_left_is_removed_or_used_again(folder_store: ModelStore, tmp_path: pathlib.Path) -> None:
    cache = tmp_path / "cache"
    script = (
        "import sys, time; from model_store import ModelStore\n"
        "copies = ModelStore(sys.argv[1]).copies(sys.argv[2]); print(copies.take('taxi', 1), flush=True); time.sleep(600)"
    )
    killed = subprocess.Popen(
        [sys.executable, "-c", script, folder_store.uri, str(cache)], stdout=subprocess.PIPE, text=True
    )
    assert killed.stdout is not None
    left = killed.stdout.readline().strip()
    ours = folder_store.copies(cache)
    ours.keep([])
    assert pathlib.Path(left).is_dir(), "its process lives"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert str(ours.take("taxi", 1)) == left, "good copies are used again"
    ours.keep([])
    assert kept(cache) == []


def test_a_cache_that_others_may_use_is_refused_in_one_line(folder_store: ModelStore, tmp_path: pathlib.Path) -> None:
    (cache := tmp_path / "cache").mkdir(mode=0o755)
    cache.chmod(0o755)
    with pytest.raises(StoreError, match=r"cache: must be private, .* \(mode 755\)\. Run: chmod 700") as caught:
        folder_store.copies(cache)
    assert "\n" not in str(caught.value)
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "private")
    with pytest.raises(StoreError, match="and is a link"):
        folder_store.copies(tmp_path / "link")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="and is no folder"):
        folder_store.fetch("taxi", 1, tmp_path / "file")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_cache_of_another_user_is_refused(folder_store: ModelStore, tmp_path: pathlib.Path) -> None:
    (cache := tmp_path / "cache").mkdir(mode=0o700)
    os.chown(cache, 65534, 65534)
    with pytest.raises(StoreError, match=r"must be a private folder of user 0, and belongs to user 65534"):
        folder_store.copies(cache)


def test_a_model_with_a_link_in_it_is_not_published(
    store: ModelStore, make_export: MakeExport, draft: Draft, tmp_path: pathlib.Path
) -> None:
    export = make_export()
    (tmp_path / "secret").write_text("of this machine")
    (export / "assets" / "vocabulary").unlink()
    (export / "assets" / "vocabulary").symlink_to(tmp_path / "secret")
    with pytest.raises(
        StoreError, match=r"assets/vocabulary is a link; .* Replace it by a copy of .*/secret\."
    ) as caught:
        store.publish("taxi", export, draft("run-1"))
    assert "\n" not in str(caught.value)
    (export / "assets" / "vocabulary").unlink()
    (export / "more").symlink_to(tmp_path, target_is_directory=True)
    with pytest.raises(StoreError, match="more is a link"):
        store.publish("taxi", export, draft("run-1"))
    assert store.models() == []
