"""Artifacts in a real S3-protocol store: whole or not at all."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import fsspec
import pytest

import storage
from spec.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]


def artifact(folder: pathlib.Path, files: int = 3, size: int = 1000) -> pathlib.Path:
    for number in range(files):
        path = folder / f"Split-{number % 2}" / f"part-{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
    (folder / "assets").mkdir()
    return folder


def content(folder: pathlib.Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


def test_what_goes_up_comes_down(s3: str, tmp_path: pathlib.Path) -> None:
    there, back = artifact(tmp_path / "there"), tmp_path / "back"
    storage.upload(there, f"{s3}/one")
    assert storage.is_whole(f"{s3}/one")
    storage.download(f"{s3}/one", back)
    assert content(back) == content(there)


def test_a_folder_without_files_is_an_artifact(s3: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty").mkdir()
    storage.upload(tmp_path / "empty", f"{s3}/empty")
    storage.download(f"{s3}/empty", tmp_path / "back")
    assert storage.is_whole(f"{s3}/empty") and (tmp_path / "back").is_dir()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda s, at: s.rm_file(f"{at}/_COMPLETE"), "has no _COMPLETE"),
        (lambda s, at: s.rm_file(f"{at}/Split-0/part-0.parquet"), "part-0.parquet: is gone"),
        (lambda s, at: s.pipe_file(f"{at}/Split-0/part-0.parquet", b"x" * 1000), "differs from what was uploaded"),
    ],
)
def test_a_damaged_artifact_is_refused(s3: str, tmp_path: pathlib.Path, damage, said: str) -> None:
    uri = f"{s3}/damaged"
    storage.upload(artifact(tmp_path / "there"), uri)
    store, at = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    damage(store, at)
    with pytest.raises(storage.Incomplete, match=said):
        storage.download(uri, tmp_path / "back")


def test_a_process_killed_in_mid_upload_leaves_nothing_and_the_next_goes_on_from_there(
    s3: str, tmp_path: pathlib.Path
) -> None:
    there, uri = artifact(tmp_path / "there", files=300, size=100_000), f"{s3}/killed"
    code = f"import pathlib; from storage import upload; upload(pathlib.Path({str(there)!r}), {uri!r})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, "PYTHONPATH": python_path()})
    store, at = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    deadline = time.monotonic() + 60
    while len(store.find(at)) < 20:
        assert process.poll() is None and time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = store.find(at, detail=True)
    assert 20 <= len(left) < 300
    assert not storage.is_whole(uri)
    with pytest.raises(storage.Incomplete, match="upload did not finish"):
        storage.download(uri, tmp_path / "back")

    store.pipe_file(f"{at}/Split-9/stale.parquet", b"of another attempt")
    storage.upload(there, uri)
    after = store.find(at, detail=True)
    assert all(after[name]["LastModified"] == info["LastModified"] for name, info in left.items())
    storage.download(uri, tmp_path / "back")
    assert content(tmp_path / "back") == content(there)


def test_refused_credentials_and_a_missing_bucket_are_one_line(s3: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match="Make the bucket"):
        storage.probe("s3://no-such-bucket-here/x")
    refused = storage.as_refused(PermissionError("The AWS Access Key Id you provided does not exist"), "s3://b")
    assert refused and "Check the object store's credentials" in str(refused)


def test_a_folder_that_cannot_be_written(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        storage.probe(str(tmp_path / "file" / "below"))


def python_path() -> str:
    return os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
