"""The page: what it says, that it stands alone, that everyone can read it, and that data stays text."""

from __future__ import annotations

import dataclasses
import html.parser
import itertools
import json
import math
from typing import Any

import pytest

from components.gates import CheckResult, GateResult, Severity
from components.report.collect import collect_failure
from components.report.facts import ColumnFacts, ColumnStatistics, DatasetFacts, RunFacts
from components.report.render import render_gate, render_run
from components.report.verdict import gate_strip, verdict

_VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(html.parser.HTMLParser):
    """What a browser would find: elements with attributes, and the text of chosen ones."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.append((self._open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> str:
        return " ".join(text for name, text in self.texts if name == tag)


def pages(runs: dict[str, RunFacts], failure: dict[str, Any]) -> dict[str, str]:
    return {
        **{name: render_run(facts) for name, facts in runs.items()},
        "failure": render_run(collect_failure(**failure)),
    }


def test_verdict_comes_first(runs: dict[str, RunFacts], failure: dict[str, Any]) -> None:
    headlines = {name: Page(page).text("h1") for name, page in pages(runs, failure).items()}
    assert headlines["binary"] == "Released as version 4: AUC 0.9127, +0.0131 against champion version 3."
    assert headlines["multiclass"].startswith("Kept champion version 2 because accuracy 0.9417 is 0.0180 below")
    assert headlines["regression"] == "Released as version 1: RMSE 38.41."
    assert headlines["failure"] == "Stopped at the data quality gate: 2 of 24 checks failed, nothing was released."


def test_page_stands_alone(runs: dict[str, RunFacts], failure: dict[str, Any]) -> None:
    for name, text in pages(runs, failure).items():
        page = Page(text)
        assert len(text.encode()) < 1_000_000, name
        assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
        assert "url(" not in text and "@import" not in text
        assert not [a for _, a in page.elements if any(key.startswith("on") for key in a)]
        assert all((a.get("src") or "data:image/").startswith("data:image/") for _, a in page.elements)


def test_page_is_readable_by_everyone(runs: dict[str, RunFacts], failure: dict[str, Any]) -> None:
    for text in pages(runs, failure).values():
        page = Page(text)
        ids = [a["id"] for _, a in page.elements if "id" in a]
        assert len(ids) == len(set(ids))
        headings = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
        assert headings[0] == 1 and headings.count(1) == 1
        assert all(after - before <= 1 for before, after in itertools.pairwise(headings))
        assert len(page.all("table")) == len(page.all("caption"))
        assert all(a.get("scope") in ("col", "row") for a in page.all("th"))
        for svg in page.all("svg"):
            assert svg.get("aria-hidden") == "true" or svg.get("role") == "img"
            assert set((svg.get("aria-labelledby") or "").split()) <= set(ids)
        assert all(a.get("alt") for a in page.all("img"))
        inner = [a["href"] for a in page.all("a") if (a["href"] or "").startswith("#")]
        assert {href[1:] for href in inner if href} <= set(ids)


def test_failed_checks_come_first_with_their_evidence(failure: dict[str, Any]) -> None:
    text = render_run(collect_failure(**failure))
    assert (
        text.index("expect_column_values_to_be_between(fare)")
        < text.index("Warning</span> <b")
        < text.index("21 of 24 checks passed")
    )
    assert "8a1c" in text and "Crypto" in text
    assert "data_docs/index.html" in text
    assert "./trainyard run taxi" in text


def test_gates_tell_how_far_the_run_came(failure: dict[str, Any], runs: dict[str, RunFacts]) -> None:
    words = [state.word for state in gate_strip(collect_failure(**failure))]
    assert words == ["Failed", "Passed", "Not reached", "Not reached", "Not reached", "Not reached"]
    binary = [state.word for state in gate_strip(runs["binary"])]
    assert binary == ["Warned", "Passed", "Passed", "Passed", "Passed", "Released"]
    assert [state.word for state in gate_strip(runs["multiclass"])][2:] == ["Passed", "Failed", "Passed", "Withheld"]


def test_a_crash_is_no_gate(failure: dict[str, Any], tmp_path: Any) -> None:
    components = [{"id": "Trainer", "status": "failed", "seconds": 3.0}]
    error = "ResourceExhaustedError: OOM when allocating"
    page = Page(render_run(collect_failure({}, "r1", components, error, tmp_path / "none")))
    assert page.text("h1") == "Failed in Trainer: nothing was released."
    assert "ResourceExhaustedError: OOM when allocating" in page.text("pre")


_ATTACK = "</script></style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'"


def _attack(value: Any) -> Any:
    if isinstance(value, Severity) or value in ("failed", "succeeded"):
        return value
    if isinstance(value, str):
        return _ATTACK
    if isinstance(value, dict):
        return {key: one if key == "task" else _attack(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_attack(one) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.replace(
            value, **{f.name: _attack(getattr(value, f.name)) for f in dataclasses.fields(value)}
        )
    return value


@pytest.mark.parametrize("name", ["binary", "multiclass", "regression"])
def test_markup_in_data_stays_text(runs: dict[str, RunFacts], name: str) -> None:
    page = Page(render_run(_attack(runs[name])))
    assert not page.all("script")
    assert all((one["src"] or "").startswith("data:") and "onerror" not in one for one in page.all("img"))


def test_markup_in_evidence_stays_text() -> None:
    keys = {_ATTACK: _ATTACK, "sample": [{_ATTACK: _ATTACK}]}
    page = Page(str(render_gate(GateResult("g", (CheckResult(_ATTACK, False, message=_ATTACK, diagnostics=keys),)))))
    assert not {"script", "img"} & {tag for tag, _ in page.elements}


def test_a_link_never_runs_code(runs: dict[str, RunFacts]) -> None:
    text = render_run(dataclasses.replace(runs["binary"], data_docs="javascript:alert(1)"))
    assert 'href="javascript' not in text


def test_a_gallery_shows_rows_with_what_is_said_of_them(runs: dict[str, RunFacts]) -> None:
    text = render_run(runs["multiclass"])
    page = Page(text)
    assert text.count("<h3>Most confident errors</h3>") == 1  # a gallery without tiles is none
    assert [one["alt"] for one in page.all("img")] == ["After epoch 1", "5 (0.98), is 3", "saliency"]
    assert "Wrong:" in page.text("span") and "pen: &lt;b&gt;blunt&lt;/b&gt;" in text
    assert "2 more would have made this page too large." in text
    assert "Most confident errors" not in render_run(runs["binary"])


def test_words_are_shaded_by_what_they_counted(runs: dict[str, RunFacts]) -> None:
    text = render_run(runs["multiclass"])
    shaded = '<span class="for much" style="--shade:0.8">&lt;good&gt;</span><span class="against" style="--shade:0.3"> but</span>'
    assert f"so {shaded}" in text


def test_what_was_drawn_while_it_learnt_is_a_part_of_the_training(runs: dict[str, RunFacts]) -> None:
    text = render_run(runs["multiclass"])
    assert text.index('id="training"') < text.index("<h3>Drawn while it learnt</h3>") < text.index('id="evaluation"')


def test_rows_set_aside_are_told(runs: dict[str, RunFacts]) -> None:
    run = runs["binary"]
    assert "set aside" not in render_run(run)
    examples = dataclasses.replace(run.artifacts["examples"], uri="/runs/3", properties={"rows_quarantined": 1234})
    page = render_run(dataclasses.replace(run, artifacts={**run.artifacts, "examples": examples}))
    assert "1,234 rows were malformed and set aside" in page and "/runs/3/quarantine.parquet" in page


def test_the_first_rows_set_aside_are_shown_with_their_reasons(runs: dict[str, RunFacts]) -> None:
    run = runs["binary"]
    first = [{"file": "/in/a.csv", "row": 17, "column": "fare", "reason": f"no number: {_ATTACK}"}]
    noted = json.dumps({"rows": 3, "file": "quarantine.parquet", "by_column": {"fare": 2, "": 1}, "first": first})

    def page(summary: str) -> Page:
        properties = {"rows_quarantined": 3, "quarantine": summary}
        examples = dataclasses.replace(run.artifacts["examples"], properties=properties)
        return Page(render_run(dataclasses.replace(run, artifacts={**run.artifacts, "examples": examples})))

    found = page(noted)
    text = " ".join(" ".join(part for _, part in found.texts).split())
    for shown in ("column fare : 2; the row as a whole: 1", "/in/a.csv 17 fare no number: "):
        assert shown in text
    assert not {"script", "img"} & {tag for tag, _ in found.elements}
    assert any("set aside" in part for _, part in page("no JSON").texts)


def test_empty_facts_make_a_page() -> None:
    page = Page(render_run(RunFacts({}, "r1")))
    assert page.text("h1") == "The run is complete, but it has no evaluation and released nothing."


def test_precision_and_recall_are_drawn_with_the_threshold_that_decides(runs: dict[str, RunFacts]) -> None:
    page = Page(render_run(runs["binary"]))
    assert "Precision and recall" in page.text("figcaption") and "above 0.312" in page.text("text")
    assert "705 positive rows; calling every row positive has a precision of 0.2350." in page.text("desc")
    assert "A row is called positive above 0.3125 (best_f1, chosen on eval" in page.text("p")
    assert "chosen by 21 positive rows of eval, which is few" in page.text("p")
    undefined = {**(runs["binary"].metrics or {}), "threshold": 0.99, "overall": {"recall": 0.0, "precision": None}}
    page = Page(render_run(dataclasses.replace(runs["binary"], metrics=undefined)))
    assert "Precision and recall" in page.text("figcaption") and "above 0.99" not in page.text("text")


def test_diverged_training_and_odd_figures_make_a_page(runs: dict[str, RunFacts]) -> None:
    facts = runs["binary"]
    history = {"loss": [0.5, math.nan, math.inf], "val_loss": [None, None, None], "auc": []}
    metrics = {
        **(facts.metrics or {}),
        "overall": {"auc": math.nan, "accuracy": None},
        "slices": [{"column": "a", "value": None}],
    }
    page = Page(
        render_run(dataclasses.replace(facts, training={"epochs": [1, 2, 3], "history": history}, metrics=metrics))
    )
    assert "nan" not in page.text("path") and all("nan" not in str(a.get("d")) for a in page.all("path"))
    assert page.text("h1").startswith("Released as version 4")


def test_wide_data_and_many_classes_stay_under_a_megabyte(runs: dict[str, RunFacts]) -> None:
    histogram = tuple((float(i), float(i + 1), float(i * i)) for i in range(10))
    splits = {
        "train": ColumnStatistics(0.1, 0, 5, 10, histogram=histogram),
        "eval": ColumnStatistics(0.1, 0, 5, 10, histogram=histogram),
    }
    columns = tuple(ColumnFacts(f"column_{i}" * 20, "float", splits) for i in range(3000))
    labels = [f"class {i}" for i in range(300)]
    counts = [[int(i == j) * 50 + int(i + 1 == j) * 3 for j in range(300)] for i in range(300)]
    slices = [{"column": "user", "value": f"u{i}" * 100, "rows": 10, "metrics": {"accuracy": 0.5}} for i in range(5000)]
    metrics = {
        **(runs["multiclass"].metrics or {}),
        "confusion_matrix": {"labels": labels, "counts": counts},
        "slices": slices,
    }
    text = render_run(
        dataclasses.replace(runs["multiclass"], dataset=DatasetFacts({"train": 9, "eval": 9}, columns), metrics=metrics)
    )
    assert len(text.encode()) < 1_000_000
    assert "2800 more columns" in text and "300 classes" in text


def test_model_that_does_not_load_is_not_released(runs: dict[str, RunFacts]) -> None:
    check = CheckResult("load", False, message="Op type not registered 'Foo' in binary")
    gates = {**runs["binary"].gates, "InfraValidator": GateResult("InfraValidator", (check,))}
    facts = dataclasses.replace(runs["binary"], release=None, infra_blessed=False, gates=gates)
    assert verdict(facts).sentence == "Kept champion version 3 because op type not registered 'Foo' in binary."


def test_the_page_links_to_the_data_of_its_span_where_a_site_is_served(runs: dict[str, RunFacts], monkeypatch) -> None:
    facts = runs["binary"]
    gates = {**facts.gates, "DataQuality": GateResult("DataQuality", (CheckResult("a check", True),))}
    release = {**(facts.release or {}), "spans": [{"span": 6}, {"span": 7}]}
    facts = dataclasses.replace(facts, gates=gates, release=release, workload={**facts.workload, "name": "taxi"})
    assert "data quality of span" not in render_run(facts)
    monkeypatch.setenv("TRAINYARD_REPORTS_URL", "https://reports.example.com/quality/")
    assert '<a href="https://reports.example.com/quality/taxi/spans/7.html">data quality of span 7</a>' in render_run(
        facts
    )
