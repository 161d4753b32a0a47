from __future__ import annotations

import os
import pathlib

import fsspec
import pytest

from components.errors import InputError
from components.ingestion import sources


def lay_out(root: pathlib.Path, *spans: int) -> str:
    for span in spans:
        folder = root / f"span-{span}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text(f"x\n{span}\n")
    return str(root / "span-{SPAN}" / "*")


def test_spans_are_numbers_not_text(tmp_path: pathlib.Path) -> None:
    uri = lay_out(tmp_path, 2, 10, 9)
    assert sources.available_spans(uri) == [2, 9, 10]
    assert sources.newest_span(uri) == 10


def test_unfinished_spans_and_files_do_not_exist(tmp_path: pathlib.Path) -> None:
    uri = lay_out(tmp_path, 1)
    (tmp_path / ".span-2.123").mkdir()
    (tmp_path / "span-1" / "_SUCCESS").write_text("")
    assert sources.available_spans(uri) == [1]
    assert len(sources.resolve_window(uri, 1, 1)[0].files) == 1


def test_a_window_is_the_newest_spans_that_there_are(tmp_path: pathlib.Path) -> None:
    uri = lay_out(tmp_path, 1, 3, 4, 5)
    assert [span.number for span in sources.resolve_window(uri, 4, 2)] == [3, 4]
    assert [span.number for span in sources.resolve_window(uri, 1, 5)] == [1]


def test_a_changed_byte_changes_the_digest_and_a_touch_does_not(tmp_path: pathlib.Path) -> None:
    uri = lay_out(tmp_path, 1)
    file = tmp_path / "span-1" / "a.csv"
    before = sources.resolve_window(uri, 1, 1)[0].digest
    os.utime(file, (1, 1))
    assert sources.resolve_window(uri, 1, 1)[0].digest == before
    file.write_text("x\n7\n")
    assert sources.resolve_window(uri, 1, 1)[0].digest != before


@pytest.mark.parametrize("damage", ["no spans", "other span", "empty folder", "empty file"])
def test_what_is_missing_is_named(tmp_path: pathlib.Path, damage: str) -> None:
    uri = str(tmp_path / "span-{SPAN}" / "*") if damage == "no spans" else lay_out(tmp_path, 1)
    if damage == "empty folder":
        (tmp_path / "span-1" / "a.csv").unlink()
    if damage == "empty file":
        (tmp_path / "span-1" / "a.csv").write_text("")
    with pytest.raises(InputError, match="span"):
        if damage == "no spans":
            sources.newest_span(uri)
        else:
            sources.resolve_window(uri, 2 if damage == "other span" else 1, 1)


def test_any_file_system(tmp_path: pathlib.Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/landing/span-3/a.csv", b"x\n3\n")
    uri = "memory://landing/span-{SPAN}/*.csv"
    (span,) = sources.resolve_window(uri, sources.newest_span(uri), 1)
    assert sources.localize(span.files[0], str(tmp_path)).read_bytes() == b"x\n3\n"
