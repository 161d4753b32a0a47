"""What is there by the very name is meant before anything is a pattern; nothing is passed over in silence."""

from __future__ import annotations

import pathlib

import fsspec
import pytest

from landing import glob, is_dangling, locations

LOCAL = fsspec.filesystem("file")
ODD = ["[raw]", "a*b", "what?", "with space", "Größe", "it's", '"quoted"', "[", "]", "[!a]", "a[b]*c", "#1", "50%"]


def found(pattern: object) -> list[str]:
    return [name.rpartition("/")[2] for name in glob(LOCAL, str(pattern))]


@pytest.mark.parametrize("name", ODD)
def test_folders_and_files_may_be_called_anything(tmp_path: pathlib.Path, name: str) -> None:
    folder = tmp_path / name / "span-1"
    folder.mkdir(parents=True)
    (folder / f"{name}.csv").touch()
    (folder / "plain.csv").touch()
    for other in ("r", "axxb", "whatX"):  # what the name would stand for
        (tmp_path / other / "span-1").mkdir(parents=True)
        (tmp_path / other / "span-1" / "other.csv").touch()
    assert found(folder / "*") == sorted([f"{name}.csv", "plain.csv"])
    assert found(folder / "*.csv") == sorted([f"{name}.csv", "plain.csv"])
    assert f"{name}.csv" in found(folder / f"{name}.csv")
    known = locations(f"{tmp_path}/{name}/span-{{SPAN}}/*")
    assert {span: one.uri for span, one in known.items()} == {1: f"{folder}/*"}


def test_patterns_are_patterns(tmp_path: pathlib.Path) -> None:
    for name in ("2026-01/a.csv", "2026-02/b.csv", "2026-02/deep/c.csv", "2026-03/d.txt", "2026-03/.hidden"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert found(tmp_path / "2026-*" / "*.csv") == ["a.csv", "b.csv"]
    assert found(tmp_path / "2026-0[13]" / "?.*") == ["a.csv", "d.txt"]
    assert found(tmp_path / "**" / "*.csv") == ["a.csv", "b.csv", "c.csv"]
    assert found(tmp_path / "2026-02" / "**") == ["b.csv", "deep", "c.csv"]
    assert found(tmp_path / "*" / "deep" / "c.csv") == ["c.csv"]
    assert found(tmp_path / "nowhere" / "*") == found(tmp_path / "nowhere") == []


def test_the_same_in_an_object_store() -> None:
    memory = fsspec.filesystem("memory")
    for name in ("/bucket/[raw]/span-1/a.csv", "/bucket/[raw]/span-2/b.csv"):
        memory.pipe_file(name, b"x")
    assert list(glob(memory, "/bucket/[raw]/span-*/*")) == ["/bucket/[raw]/span-1/a.csv", "/bucket/[raw]/span-2/b.csv"]


def test_a_link_that_leads_nowhere_is_found(tmp_path: pathlib.Path) -> None:
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "kept.csv").touch()
    (tmp_path / "also.csv").symlink_to(tmp_path / "kept.csv")
    lost = [name for name, info in glob(LOCAL, f"{tmp_path}/*").items() if is_dangling(LOCAL, name, info)]
    assert lost == [f"{tmp_path}/gone.csv"]


def test_a_span_that_is_there_twice_is_named_and_hides_no_other(tmp_path: pathlib.Path) -> None:
    for name in ("span-01", "span-1", "span-2"):
        (tmp_path / name).mkdir()
    known = locations(f"{tmp_path}/span-{{SPAN}}/*")
    assert {known[1].uri, known[1].rival} == {f"{tmp_path}/span-01/*", f"{tmp_path}/span-1/*"}
    assert known[2].rival == ""
