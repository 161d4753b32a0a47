"""What shows that data is whole, and what changes while it is written."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import landing


def lay_out(root: Path, *spans: int) -> str:
    for span in spans:
        (root / f"span-{span}").mkdir(parents=True)
        (root / f"span-{span}" / "a.csv").write_text("x\n1\n")
    return f"{root}/span-{{SPAN}}/*"


def test_the_newest_that_is_finished(tmp_path: Path) -> None:
    uri = lay_out(tmp_path, 1, 2, 10)
    assert landing.newest_finished(landing.locations(uri)) == 10
    (tmp_path / "span-10" / "_temporary").mkdir()
    (tmp_path / "span-2" / "b.csv.part").touch()
    known = landing.locations(uri)
    assert landing.newest_finished(known) == 1
    assert landing.unfinished(known, 2).endswith("span-2/b.csv.part")
    assert landing.newest_finished({}) is None


def test_a_fingerprint_changes_with_names_sizes_and_times(tmp_path: Path) -> None:
    uri = lay_out(tmp_path, 1)
    file = tmp_path / "span-1" / "a.csv"
    signs = []
    for change in (
        lambda: None,
        lambda: file.write_text("x\n22\n"),
        lambda: os.utime(file, (1, 1)),
        lambda: (tmp_path / "span-1" / "b.csv").write_text("x"),
    ):
        change()
        landing.refresh(uri)
        signs.append(landing.fingerprint(landing.locations(uri)[1]))
    assert len(set(signs)) == 4
    assert landing.fingerprint(landing.locations(uri)[1]) == signs[-1]
    assert landing.fingerprint(landing.Location(1, 0, f"{tmp_path}/absent.csv"))


def test_a_content_digest_changes_with_names_and_bytes_alone(tmp_path: Path) -> None:
    known = landing.locations(lay_out(tmp_path, 1))
    file = tmp_path / "span-1" / "a.csv"
    before = landing.content_digest(known[1])
    os.utime(file, (1, 1))
    (tmp_path / "span-1" / "folder").mkdir()
    assert landing.content_digest(known[1]) == before
    file.rename(file.with_name("b.csv"))
    renamed = landing.content_digest(known[1])
    file.with_name("b.csv").write_text("x\n2\n")
    assert len({before, renamed, landing.content_digest(known[1])}) == 3
    assert landing.content_digest(landing.Location(1, 0, "memory://bucket/span-1/*")) == "", "nothing is downloaded"


def test_marker_and_folders_that_are_not_read(tmp_path: Path) -> None:
    uri = lay_out(tmp_path, 1)
    assert not landing.is_marked(landing.locations(uri)[1])
    (tmp_path / "span-1" / "_SUCCESS").touch()
    for name in ("more", "_logs", ".hidden"):
        (tmp_path / "span-1" / name).mkdir()
    assert landing.is_marked(landing.locations(uri)[1])
    assert landing.unread_folders(landing.locations(uri)[1]) == ["more"]
    deep = landing.locations(f"{tmp_path}/span-{{SPAN}}/**/*.csv")[1]
    assert landing.unread_folders(deep) == []


def test_days() -> None:
    assert landing.span_of_day(datetime.date(1970, 1, 2)) == 1
    assert landing.day_of(landing.span_of_day(datetime.date(2028, 2, 29))) == datetime.date(2028, 2, 29)
