from __future__ import annotations

import os
import pathlib
import re

import fsspec
import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.ingestion import contract, sources
from spec.errors import ChangedError, InputError


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


def test_numbers_are_read_as_they_are_written(tmp_path: pathlib.Path) -> None:
    (tmp_path / "span-007").mkdir()
    (tmp_path / "span-007" / "part-007.csv").write_text("x\n7\n")
    (span,) = sources.resolve_window(str(tmp_path / "span-{SPAN}" / "part-{SPAN}.csv"), 7, 1)
    assert span.files[0].endswith("span-007/part-007.csv")


def test_the_newest_version_of_each_span(tmp_path: pathlib.Path) -> None:
    for name in ("1/v1", "1/v9", "1/v10", "2/v3"):
        folder = tmp_path / f"span-{name}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text(name)
    window = sources.resolve_window(str(tmp_path / "span-{SPAN}" / "v{VERSION}" / "*"), 2, 2)
    assert [(span.number, span.version) for span in window] == [(1, 10), (2, 3)]
    assert [span.files[0].rpartition("span-")[2] for span in window] == ["1/v10/a.csv", "2/v3/a.csv"]


@pytest.mark.parametrize("pattern", ["{YYYY}{MM}{DD}", "{YYYY}-{MM}-{DD}", "{YYYY}/{MM}/{DD}", "day={DD}-{MM}-{YYYY}"])
def test_days_are_spans(tmp_path: pathlib.Path, pattern: str) -> None:
    for year, month, day in (("2026", "02", "28"), ("2026", "03", "01"), ("2026", "13", "01")):
        name = pattern.replace("{YYYY}", year).replace("{MM}", month).replace("{DD}", day)
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("x")
    uri = f"{tmp_path}/{pattern}/*.csv"
    assert sources.available_spans(uri) == [20512, 20513]  # 2026-13-01 is no day
    assert [span.number for span in sources.resolve_window(uri, 20513, 7)] == [20512, 20513]


def test_files_of_a_span_side_by_side(tmp_path: pathlib.Path) -> None:
    for name in ("trips-1-a.csv", "trips-1-b.csv", "trips-2-a.csv"):
        (tmp_path / name).write_text(name)
    window = sources.resolve_window(str(tmp_path / "trips-{SPAN}-*.csv"), 2, 2)
    assert [len(span.files) for span in window] == [2, 1]


@pytest.mark.parametrize("sign", ["_temporary", ".hive-staging_1", "b.csv.partial", "b.csv._COPYING_", "b.csv.tmp"])
def test_a_span_that_is_still_being_written(tmp_path: pathlib.Path, sign: str) -> None:
    uri = lay_out(tmp_path, 1, 2)
    path = tmp_path / "span-2" / sign
    path.mkdir() if "_temporary" in sign or "hive" in sign else path.write_text("half")
    with pytest.raises(InputError, match=f"span 2 is still being written.*{sign}"):
        sources.resolve_window(uri, 2, 1)
    assert sources.newest_span(uri) == 1  # the newest that is whole
    assert [span.number for span in sources.resolve_window(uri, 1, 1)] == [1]


def test_a_success_marker_is_asked_for_where_others_have_it(tmp_path: pathlib.Path) -> None:
    uri = lay_out(tmp_path, 1, 2)
    assert sources.newest_span(uri) == 2  # nobody leaves markers here
    (tmp_path / "span-1" / "_SUCCESS").write_text("")
    assert sources.newest_span(uri) == 1
    with pytest.raises(InputError, match=r"no .*span-2/_SUCCESS, which .*span-1 has"):
        sources.resolve_window(uri, 2, 2)
    (tmp_path / "span-2" / "_SUCCESS").write_text("")
    assert sources.newest_span(uri) == 2 and len(sources.resolve_window(uri, 2, 2)) == 2


def test_a_file_that_grows_while_it_is_read(tmp_path: pathlib.Path, monkeypatch) -> None:
    uri = lay_out(tmp_path, 1)
    file = tmp_path / "span-1" / "a.csv"
    real = sources._sha256

    def slow(filesystem, path: str) -> bytes:
        digest = real(filesystem, path)
        with file.open("a") as other:  # the writer goes on meanwhile
            other.write("2\n")
        return digest

    with monkeypatch.context() as patched:
        patched.setattr(sources, "_sha256", slow)
        with pytest.raises(ChangedError, match=r"a\.csv: changed while it was being read \(4 bytes, then 6\)"):
            sources.resolve_window(uri, 1, 1)


@pytest.mark.parametrize("content", ["x\n2\n", "x\n1\n2\n", None])
def test_a_file_that_is_replaced_after_it_was_hashed(tmp_path: pathlib.Path, content: str | None) -> None:
    uri = lay_out(tmp_path, 1)
    file = tmp_path / "span-1" / "a.csv"
    was = file.stat()
    (span,) = sources.resolve_window(uri, 1, 1)
    with sources.as_hashed(span.files, span.digest):
        pass
    with pytest.raises(ChangedError, match=r"a\.csv: changed while it was being read"):
        with sources.as_hashed(span.files, span.digest):
            file.unlink()
            if content:
                file.write_text(content)
                os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
            raise InputError("half a row")  # what was found in it meanwhile


def test_a_file_that_was_another_for_a_while(tmp_path: pathlib.Path) -> None:
    uri = lay_out(tmp_path, 1)
    file = tmp_path / "span-1" / "a.csv"
    (span,) = sources.resolve_window(uri, 1, 1)
    before = file.read_text()
    with pytest.raises(ChangedError, match="it was written again, with as many bytes"):
        with sources.as_hashed(span.files, span.digest):
            file.write_text("x\n7\n")  # and was read then
            file.write_text(before)


def test_an_object_that_is_replaced_after_it_was_hashed() -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/replaced/a.csv", b"x\n1\n")
    span = sources.files_at("memory://replaced/a.csv")
    with pytest.raises(ChangedError):
        with sources.as_hashed(span.files, span.digest):
            memory.pipe("/replaced/a.csv", b"x\n2\n")


def test_what_is_hashed_is_read_once(tmp_path: pathlib.Path, monkeypatch) -> None:
    uri = lay_out(tmp_path, 1, 2)
    first = sources.resolve_window(uri, 2, 2)
    monkeypatch.setattr(sources, "_sha256", None)
    assert sources.resolve_window(uri, 2, 2) == first


def test_a_file_that_is_not_whole_by_its_name(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a.csv.part").write_text("x\n1\n")
    with pytest.raises(InputError, match=r"a\.csv\.part: is still being written"):
        sources.files_at(str(tmp_path))


def test_a_link_to_nothing_and_a_span_that_is_there_twice_are_said(tmp_path: pathlib.Path) -> None:
    for name in ("span-1", "span-02", "span-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("x\n1\n")
    (tmp_path / "span-1" / "b.csv").symlink_to(tmp_path / "gone.csv")
    uri = f"{tmp_path}/span-{{SPAN}}/*"
    with pytest.raises(
        InputError, match=r"span-1/b\.csv: is a link to what is not there\. Deliver the file, or remove"
    ):
        sources.resolve_window(uri, 1, 1)
    with pytest.raises(InputError, match=r"span 2 is there twice, as .*span-02/\* and .*span-2/\*\. Remove or rename"):
        sources.resolve_window(uri, 2, 1)


@pytest.mark.parametrize(("advice", "optional"), [(contract.NULLABLE, False), (contract.OPTIONAL, True)])
def test_what_messages_say_to_write_into_the_schema_does_it(advice: str, optional: bool) -> None:
    said, without = re.findall("`(.*?)`", advice)
    before = f"name: 'x' type: FLOAT presence {{ min_fraction: 1 min_count: 1 }} {without}"
    after = f"name: 'x' type: FLOAT {said}"
    columns = [
        contract.columns_of(text_format.Parse(f"feature {{ {t} }}", schema_pb2.Schema()))[0] for t in (before, after)
    ]
    assert [column.required for column in columns] == [True, False]
    assert [column.optional for column in columns] == [False, optional]
