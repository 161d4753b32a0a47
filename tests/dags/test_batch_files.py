"""Which files are new: by place and content, through crashes at any point."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest

from dags import batch_files


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.csv").write_text("x\n1\n")
    return tmp_path / "inbox"


def new(inbox: Path) -> list[str]:
    return [Path(one.uri).name for one in batch_files.pending(f"{inbox}/*.csv", inbox.parent / "out")]


def finish(inbox: Path, rows: int = 1) -> None:
    """As `trainyard predict` does for every file that is pending."""
    out = inbox.parent / "out"
    for one in batch_files.pending(f"{inbox}/*.csv", out):
        (out / one.name).mkdir()
        (out / one.name / "index.json").write_text(
            json.dumps({"version": 2, "rows": rows, "predicted": rows, "failed": 0})
        )


def test_a_file_is_new_until_its_results_are_complete(inbox: Path) -> None:
    assert new(inbox) == ["a.csv"] and new(inbox) == ["a.csv"], "found, then killed before anything was predicted"
    finish(inbox)
    assert new(inbox) == []
    (inbox / "a.csv").touch()
    assert new(inbox) == [], "the same content put there again is the same file"
    (inbox / "a.csv").write_text("x\n2\n")
    assert new(inbox) == ["a.csv"]
    (inbox / "b.csv").write_text("x\n1\n")
    assert new(inbox) == ["a.csv", "b.csv"], "the same content at another place is another file"


def test_unfinished_hidden_and_folders_do_not_count(inbox: Path) -> None:
    for name in (".b.csv", "_c.csv"):
        (inbox / name).write_text("x")
    (inbox / "d.csv").mkdir()
    assert new(inbox) == ["a.csv"]


def test_at_most_so_many_at_a_time(inbox: Path) -> None:
    for n in range(5):
        (inbox / f"f{n}.csv").write_text(f"{n}")
    assert len(batch_files.pending(f"{inbox}/*.csv", inbox.parent / "out", most=3)) == 3


def test_the_index_is_made_anew_from_what_is_there(inbox: Path) -> None:
    out = inbox.parent / "out"
    finish(inbox, rows=4)
    (inbox / "b.csv").write_text("y")
    (one,) = batch_files.pending(f"{inbox}/*.csv", out)
    assert batch_files.write_index(out)["totals"]["pending"] == 1
    batch_files.refuse(out, one.name, "b.csv: no column x")
    (out / "index.json").unlink()
    index = batch_files.write_index(out)
    assert index["totals"] == {"predicted": 1, "refused": 1, "pending": 0, "rows": 4, "failed_rows": 0}
    assert [(f["status"], f["version"], f["reason"]) for f in index["files"]] == [
        ("predicted", 2, None),
        ("refused", None, "b.csv: no column x"),
    ]


def test_half_written_notes_are_made_anew(inbox: Path) -> None:
    (one,) = batch_files.pending(f"{inbox}/*.csv", inbox.parent / "out")
    (inbox.parent / "out" / ".files" / f"{one.name}.json").write_text('{"uri": ')
    assert new(inbox) == ["a.csv"]


def test_files_of_an_object_store(tmp_path: Path) -> None:
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe(f"/{tmp_path.name}-inbox/a.csv", b"x\n1\n")
    (one,) = batch_files.pending(f"memory://{tmp_path.name}-inbox/*.csv", tmp_path / "out")
    assert one.uri == f"memory:///{tmp_path.name}-inbox/a.csv" and one.size == 4
