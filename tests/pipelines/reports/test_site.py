"""The report site, read as a browser and as a data team's scripts read it."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import json
import pathlib
import urllib.parse

import pytest

from pipelines.history import History, Outcome, Validation
from pipelines.reports import build, page_of
from tests.pipelines.reports.conftest import MARKUP, validation


class Page(html.parser.HTMLParser):
    """What matters of a page: its links, ids, tags and text."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__()
        self.links, self.ids, self.tags, self.text = [], [], set(), ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        found = dict(attributes)
        self.links += [found[key] for key in ("href", "src") if found.get(key)]
        self.ids += [found["id"]] if "id" in found else []
        assert not any(name.startswith("on") for name in found), f"a handler in {tag}"

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def site(history: History, tmp_path: pathlib.Path) -> pathlib.Path:
    build(history, tmp_path / "site")
    return tmp_path / "site"


def pages(site: pathlib.Path) -> list[pathlib.Path]:
    return sorted(site.rglob("*.html"))


def test_every_link_leads_somewhere_on_this_disk(site: pathlib.Path) -> None:
    seen = 0
    for path in pages(site):
        page = Page(path)
        assert len(page.ids) == len(set(page.ids)), f"{path}: an id stands twice"
        for link in page.links:
            parts = urllib.parse.urlsplit(link)
            assert not parts.scheme and not parts.netloc, f"{path} needs a network for {link}"
            if parts.path:
                assert (path.parent / urllib.parse.unquote(parts.path)).exists(), f"{path}: {link}"
                seen += 1
    assert seen > 30


def test_markup_in_the_data_stays_text(site: pathlib.Path) -> None:
    shown = 0
    for path in pages(site):
        page = Page(path)
        assert "script" not in page.tags and "img" not in page.tags
        shown += MARKUP in page.text
    assert shown >= 5  # overview, workload, validations, columns
    (row,) = [r for r in csv.reader((site / "taxi/validations/run-2/checks.csv").open()) if r[2] == "False"]
    assert MARKUP in row[1]


def test_the_failed_check_comes_first_with_its_evidence(site: pathlib.Path) -> None:
    text = Page(site / "taxi/validations/run-2/index.html").text
    assert text.index("Stopped") < text.index("Failed") < text.index("What changed") < text.index("every column is as")
    assert "data-team" in text and "0.3100" in text and "≤ 0.2" in text and "span 1" in text


def test_a_span_keeps_its_address_and_leads_to_its_newest_validation(history: History, tmp_path: pathlib.Path) -> None:
    build(history, tmp_path / "site")
    again = dataclasses.replace(validation(2, again="-again"), created_at="2026-11-04T06:00:00+00:00")
    history.record(again)
    build(history, tmp_path / "site")
    assert "../validations/run-2-again/index.html" in Page(tmp_path / "site/taxi/spans/2.html").links
    assert (tmp_path / "site/taxi/validations/run-2/index.html").is_file()
    assert "validated again since" in Page(tmp_path / "site/taxi/index.html").text


def test_only_what_changed_is_written_again(history: History, tmp_path: pathlib.Path) -> None:
    site = tmp_path / "site"
    assert build(history, site).written > 20
    assert build(history, site).written == 0
    untouched = page_of(site, "taxi", "run-1")
    before = untouched.stat().st_mtime_ns
    history.record(validation(4, Outcome.WARNED))
    history.record(validation(1, workload="churn"))
    assert build(history, site, only="taxi").written > 0
    assert untouched.stat().st_mtime_ns == before
    assert "span 4" in Page(page_of(site, "taxi", "run-3")).text  # its neighbour
    assert not page_of(site, "churn", "run-1").exists() and "churn" in Page(site / "index.html").text
    build(history, site)
    assert page_of(site, "churn", "run-1").is_file()


def test_figures_behind_the_plots_are_there(site: pathlib.Path) -> None:
    rows = list(csv.DictReader((site / "taxi/columns/fare.csv").open()))
    assert [row["validation"] for row in rows] == ["run-1", "run-2", "run-3"]
    assert rows[1]["psi"] == "0.31" and rows[1]["missing"] == "0.1" and rows[2]["quantile_0.5"] == "11.0"
    whole = json.loads((site / "taxi/validations/run-2/validation.json").read_text())
    assert whole["outcome"] == "failed" and whole["columns"][0]["histogram"][0] == [0.0, 25.0, 300.0]
    values = (site / "taxi/validations/run-2/validation.json").read_text()
    assert "=1+1" in values
    newest = json.loads((site / "index.json").read_text())
    assert [one["id"] for one in newest] == ["run-3"]


@pytest.mark.parametrize(
    "one",
    [
        Validation("r0", "empty", 1, "2026-11-01T00:00:00+00:00", Outcome.FAILED, "Not judged.", error="half a span"),
        Validation("../../r1", "../evil", None, "2026-11-01T00:00:00+00:00", Outcome.PASSED, "It can be trusted."),
        dataclasses.replace(validation(7), columns=tuple(
            dataclasses.replace(validation(7).columns[0], name=f"column {i}") for i in range(2000))),
    ],
    ids=["nothing known", "hostile names", "2,000 columns"],
)  # fmt: skip
def test_strange_validations_get_a_page(history: History, tmp_path: pathlib.Path, one: Validation) -> None:
    history.record(one)
    built = build(history, tmp_path / "site")
    page = page_of(tmp_path / "site", one.workload, one.id).resolve()
    assert page.is_file() and page.is_relative_to((tmp_path / "site").resolve())
    assert built.index.stat().st_size < 1e6 and page.stat().st_size < 1e6
    assert max(p.stat().st_size for p in pages(tmp_path / "site")) < 1e6
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "quality.sqlite",
        "quality.sqlite-shm",
        "quality.sqlite-wal",
        "site",
    ]
