"""The report site, read as a browser and as a data team's scripts read it."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import json
import os
import pathlib
import threading
import urllib.parse

import pytest

from components.report.site import page_url
from quality.history import SERVING, History, Outcome, Release, Validation
from quality.reports import _site, build, page_of
from tests.quality.reports.conftest import MARKUP, validation


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
    same = json.loads((site / "taxi/columns/fare.json").read_text())
    assert [one["validation"] for one in same] == ["run-1", "run-2", "run-3"] and same[1]["changes"][0]["value"] == 0.31
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


def test_nothing_that_data_can_say_becomes_markup(tmp_path: pathlib.Path) -> None:
    """Every text of a validation is hostile; the pages have the tags that ours have, and no others."""
    evil = "\"'><img src=x onerror=alert(1)></style></title><script>alert(1)</script>{{7*7}} javascript:alert(1) ]]>"

    def hostile(one, **more):
        texts = {f.name: f"{evil} {f.name}" for f in dataclasses.fields(one) if isinstance(getattr(one, f.name), str)}
        return dataclasses.replace(one, **{**texts, **more})

    def damaged(one: Validation, span: int | None, **more) -> Validation:
        return hostile(
            one, id=f"{evil}{span}{more}", workload=evil, span=span, created_at=one.created_at, outcome=one.outcome,
            source=more.get("source", "run"), documents={evil: evil, "report": evil}, reference="", error=more.get("error", ""),
            checks=tuple(hostile(c, gate=g, severity=c.severity, waiver=w, evidence={evil: evil, "sample": [{evil: evil}]})
                         for c in one.checks for g in (evil, "DataQuality", "SkewDetector") for w in (evil, "")),
            columns=tuple(hostile(c, kind=evil, top_values=((evil, 3.0),) if c.top_values else ()) for c in one.columns),
            changes=tuple(hostile(c, kind=k, measure=m, severity="warning")
                          for c in one.changes for k in ("drift", evil) for m in ("psi", evil)),
        )  # fmt: skip

    clean, dirty = tmp_path / "clean", tmp_path / "dirty"
    with History.open(f"sqlite:///{tmp_path}/q.sqlite") as history:
        for span in (1, 2):
            history.record(damaged(validation(span, Outcome.FAILED), span), Release(evil, span, span, evil, evil))
        history.record(damaged(validation(3), None, source="serving"))
        history.record(damaged(validation(4), 4, error=evil))
        build(history, dirty)
    with History.open(f"sqlite:///{tmp_path}/clean.sqlite") as history:
        history.record(validation(1), Release("taxi", 1, 1, "2026-11-01"))
        history.record(validation(2, Outcome.FAILED))
        history.record(dataclasses.replace(validation(3), error="no file"))
        build(history, clean)
    ours = set().union(*(Page(path).tags for path in pages(clean))) | {
        "pre",
        "small",
        "p",
        "code",
        "dl",
        "dt",
        "dd",
        "div",
    }
    seen = 0
    for path in pages(dirty):
        page = Page(path)
        assert page.tags <= ours, f"{path}: {page.tags - ours}"
        assert not any(link.strip().lower().startswith(("javascript:", "data:")) for link in page.links)
        assert "49" not in page.text.replace("1,49", "")  # nothing is rendered twice
        seen += "<script>alert(1)</script>" in page.text
    assert seen >= 6


def test_spans_go_by_their_number_whichever_was_looked_at_last(history: History, tmp_path: pathlib.Path) -> None:
    late = dataclasses.replace(
        validation(2, Outcome.WARNED, again="-late"), created_at="2026-11-09T06:00:00+00:00", headline="late"
    )
    history.record(late)
    build(history, tmp_path)
    overview = Page(tmp_path / "index.html").text
    assert "span 3, 3 November" in overview and "late" not in overview  # span 3 is the newest data
    page = Page(page_of(tmp_path, "taxi", "run-2-late"))
    assert "← span 1" in page.text and "span 3 →" in page.text and "span 1 (line)" in page.text


def test_what_a_model_is_asked_has_its_own_line_and_hides_no_span(history: History, tmp_path: pathlib.Path) -> None:
    asked = dataclasses.replace(
        validation(9, Outcome.WARNED),
        id="asked",
        span=None,
        source=SERVING,
        headline="It is skewed.",
        reference="run-1",
    )
    history.record(asked)
    build(history, tmp_path)
    for place in ("index.html", "taxi/index.html"):
        text = Page(tmp_path / place).text
        assert "span 3" in text and "What the model was asked" in text and "It is skewed." in text
    text = Page(page_of(tmp_path, "taxi", "asked")).text
    assert "How requests differ" in text and "span 1 (line)" in text
    assert Page(tmp_path / "index.html").text.index("Look at taxi") >= 0


def test_many_workloads_fit_and_the_ones_to_look_at_come_first(tmp_path: pathlib.Path) -> None:
    with History.open(f"sqlite:///{tmp_path}/q.sqlite") as history:
        for nth in range(12):
            for span in (1, 2):
                failed = nth == 7 and span == 2
                history.record(
                    dataclasses.replace(
                        validation(span, Outcome.FAILED if failed else Outcome.PASSED, workload=f"w{nth}"),
                        id=f"{nth}-{span}",
                    )
                )
        built = build(history, tmp_path / "site")
    text = Page(built.index).text
    assert text.startswith("\n") and "Stopped: w7; 11 can be trusted." in text
    assert text.index("w7 ") < text.index("11 workloads to trust") < text.index("w0") < text.index("w11")


def test_several_processes_make_what_one_makes(history: History, tmp_path: pathlib.Path, monkeypatch) -> None:
    history.record(dataclasses.replace(validation(1, workload="churn"), id="churn-1"))
    build(history, tmp_path / "one")
    monkeypatch.setattr(_site, "_ALONE", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    build(history, tmp_path / "two")
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two and len(one) > 30


def test_builds_at_the_same_time_leave_a_whole_site(history: History, tmp_path: pathlib.Path) -> None:
    for nth in range(4):
        history.record(dataclasses.replace(validation(1, workload=f"w{nth}"), id=f"w{nth}-1"))
    errors: list[BaseException] = []

    def work(name: str) -> None:
        try:
            build(history, tmp_path / "site", only=name)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"w{nth % 4}",)) for nth in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    text = Page(tmp_path / "site/index.html").text
    assert all(f"w{nth}" in text for nth in range(4)) and not list((tmp_path / "site").rglob("*.partial"))


def test_documents_are_fetched_from_an_object_store_and_what_is_out_of_reach_is_named(
    history: History, tmp_path: pathlib.Path
) -> None:
    import fsspec

    store = fsspec.filesystem("memory")
    store.pipe({"/run/dq/data_docs/index.html": b"<a href='a/b.html'>", "/run/dq/data_docs/a/b.html": b"deep"})
    documents = {"data_docs": "memory://run/dq/data_docs/index.html", "report": "nobody-knows://run/index.html"}
    history.record(dataclasses.replace(validation(5), documents=documents))
    build(history, tmp_path)
    page = page_of(tmp_path, "taxi", "run-5")
    (link,) = [link for link in Page(page).links if "data_docs" in link]
    assert (page.parent / link).is_file() and (page.parent / link).parent.joinpath("a/b.html").read_bytes() == b"deep"
    text = " ".join(Page(page).text.split())
    assert "The report of the training run lay at nobody-knows://run/index.html and could not be fetched" in text


def test_a_page_has_an_address_where_the_site_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    assert page_url("taxi", "run-1") == ""
    monkeypatch.setenv("TRAINYARD_REPORTS_URL", "https://reports.example.com/quality/")
    assert page_url("taxi", "run-1") == "https://reports.example.com/quality/taxi/validations/run-1/index.html"
    assert ".." not in page_url("../x", "../../y")
    monkeypatch.setenv("TRAINYARD_REPORTS_URL", "javascript:alert(1)")
    assert page_url("taxi", "run-1") == ""
