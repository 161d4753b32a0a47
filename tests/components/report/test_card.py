"""The model card: figures of the run, and texts that stay texts."""

from __future__ import annotations

import dataclasses
from typing import Any

from components.report.card import document
from components.report.card_page import html, markdown
from components.report.facts import RunFacts
from components.report.render import render_run


def card_of(facts: RunFacts) -> str:
    return markdown(document(facts), facts.release)


def test_it_says_what_a_reader_of_the_model_needs(runs: dict[str, RunFacts]) -> None:
    card = card_of(runs["binary"])
    assert card.startswith("# taxi\n\nVersion 4")
    assert "| Owner | ml-platform |" in card
    assert "- Span 2: 7,500 rows, sha256:c07e" in card
    assert "| AUC | 0.9127, 95 % at least 0.9 | 0.5000 | 0.8996 | ≥ 0.85 Held |" in card
    assert "Champion, version 3" in card
    assert card.index("| payment\\_type | Cash | 1,602 | 0.8100 | Held |") < card.index("| payment\\_type | Credit ")
    assert "the mean fare is 11.8" in card.partition("## Limits")[2]
    assert "1 slice with less than 30 rows" in card
    assert "- A row is called positive above 0.3125" in card and "which is few" in card
    assert "- Class weights: 1 2.13, 0 0.65. The probabilities" in card


def test_simple_methods_have_a_column_each(runs: dict[str, RunFacts]) -> None:
    facts = _beside_methods(runs["binary"])
    card = card_of(facts)
    assert "of the test split. Words reaches auc 0.9000, graph filter 0.9200: graph filter wins." in card
    assert "| Metric | This model | Trivial model | Words | Graph filter | Champion, version 3 | Bound |" in card
    assert "| AUC | 0.9127, 95 % at least 0.9 | 0.5000 | 0.9000 | 0.9200 | 0.8996 | ≥ 0.85 Held |" in card
    page = render_run(facts)
    assert "Graph filter (what neighbours have) learnt from 900 of 1,000 rows in 1.5 s." in page
    assert "Coin" not in page, "it did not apply"


def test_a_run_from_before_there_were_several_has_a_card(runs: dict[str, RunFacts]) -> None:
    old = {"name": "gradient boosting", "overall": {"auc": 0.9}, "words": "gradient boosting reaches auc 0.9"}
    metrics = {**runs["binary"].metrics, "baseline": old}
    assert "Gradient boosting reaches auc 0.9." in card_of(dataclasses.replace(runs["binary"], metrics=metrics))


def _beside_methods(facts: RunFacts) -> RunFacts:
    rows = {"train_rows": 900, "train_rows_in_all": 1000, "seconds": 1.5, "not_applicable": ""}
    methods = [
        {"name": "words", "about": "", "overall": {"auc": 0.9}, **rows},
        {"name": "graph filter", "about": "what neighbours have.", "overall": {"auc": 0.92}, **rows},
        {"name": "coin", "about": "", "overall": {}, **rows, "not_applicable": "no coin"},
    ]
    words = "words reaches auc 0.9000, graph filter 0.9200: graph filter wins"
    return dataclasses.replace(facts, metrics={**facts.metrics, "baseline": {"words": words, "methods": methods}})


def test_a_run_that_came_to_nothing_has_a_card(runs: dict[str, RunFacts]) -> None:
    bare = card_of(RunFacts({"name": "taxi", "task": "binary"}, "run-1"))
    assert "\nNot released.\n" in bare and "## Metrics" not in bare
    assert "\nNot released.\n" in card_of(runs["multiclass"])


def test_data_is_no_markup(runs: dict[str, RunFacts]) -> None:
    workload = {**runs["binary"].workload, "description": "<script>alert(1)</script> | [x](http://y)\n# z"}
    card = card_of(dataclasses.replace(runs["binary"], workload=workload))
    assert "<script" not in card and "](http" not in card and "\n# z" not in card
    assert "<script>alert" not in html(document(dataclasses.replace(runs["binary"], workload=workload)), None)


def test_fairness_and_what_the_model_needs_are_told(runs: dict[str, RunFacts]) -> None:
    facts = _responsible(runs["binary"])
    card = card_of(facts)
    assert "## Intended use\n\nTo plan shifts.\n\nQuestions: taxi@x" in card
    assert "- Personal columns, no feature is made of them: sex" in card
    assert "- Personal columns, the model learns from them, as data.personal\\_features says: age" in card
    assert "| sex | Demographic parity, difference | 0.2000, 95 % at most 0.3 | ≤ 0.1 Missed |" in card
    assert "| fare | +0.0500 ± 0.0100 |" in card and "- Seed: 3" in card
    assert "- Trips at night are few." in card.partition("## Limits")[2]
    page = html(document(facts), facts.release)
    assert '<th scope="row">sex</th><td>Demographic parity, difference</td><td>0.2000, 95 % at most 0.3</td>' in page
    page = render_run(facts)
    assert "Fairness by sex" in page and "What the model needs" in page and "Not asked, to save time: company." in page
    assert "Groups of fewer than 100 rows, in grey, are not compared." in page
    assert "What moved the answers" not in page


def test_what_moved_the_answers_is_shown(runs: dict[str, RunFacts]) -> None:
    def page(name: str, columns: list[Any], why_not: str = "") -> str:
        found = {"rows": 256, "residual": 0.004, "columns": columns, "why_not": why_not}
        return render_run(dataclasses.replace(runs[name], metrics={**runs[name].metrics, "explanations": found}))

    columns = [{"column": name, "size": 1.5, "quarters": [0.2, 2.5]} for name in ("fare", "hour")]
    shown = page("binary", columns)
    assert "What moved the answers" in shown and "the log-odds of the class that was called" in shown
    assert "0.4 %" in shown and "most did fare, 1.500" in shown
    assert "moved the answer from" in page("regression", columns)
    assert "Not measured: too warm." in page("binary", [], "too warm")


def test_compressed_variants_are_told(runs: dict[str, RunFacts]) -> None:
    shares = {"size": 0.33, "latency": {"1": 0.76, "64": 0.34}, "milliseconds": {"1": 0.7, "64": 2.1}}
    one = {
        "name": "int8",
        "method": "litert-int8",
        "value": 0.91,
        "loss": 0.0027,
        "bytes": 900,
        "compressed_bytes": 300,
    }
    limits = {"max_loss": 0.002, "max_size": 1.0, "max_latency": 0.6, "passes": False}
    original = {"value": 0.9127, "bytes": 2000, "compressed_bytes": 900, "milliseconds": {"1": 0.9, "64": 6.3}}
    variants = {"metric": "auc", "original": original, "variants": [one | shares | limits]}
    facts = dataclasses.replace(runs["binary"], metrics={**runs["binary"].metrics, "variants": variants})
    assert "| int8 | litert-int8 | 0.9100 | +0.0027 | 33.0 % | 76.0 % | 34.0 % |" in card_of(facts)
    page = render_run(facts)
    assert "+0.0027 loss ≤ 0.002" in page and "34.0 % ≤ 60.0 %" in page and "2.100 ms" in page


def test_why_the_need_of_columns_was_not_measured_is_said(runs: dict[str, RunFacts]) -> None:
    why = {"why_not": "the model takes one column", "columns": [], "left_out": []}
    facts = dataclasses.replace(runs["binary"], metrics={**runs["binary"].metrics, "importance": why})
    assert "Not measured: the model takes one column." in render_run(facts)
    assert "What the model needs most" not in card_of(facts)


def _responsible(facts: RunFacts) -> RunFacts:
    gap = {"metric": "demographic_parity_difference", "class": "1", "value": 0.2, "words": "95 % at most 0.3"}
    rates = {"selection_rate": 0.5, "true_positive_rate": 0.8, "false_positive_rate": None}
    groups = [
        {"value": "f", "rows": 900, "compared": True, **rates},
        {"value": "x", "rows": 9, "compared": False, **rates},
    ]
    bars = [{"min": None, "max": 0.1, "verdict": "failed"}]
    table = {"column": "sex", "class": "1", "min_rows": 100, "groups": groups, "gaps": [{**gap, "bars": bars}]}
    needs = {"column": "fare", "drop": 0.05, "deviation": 0.01, "least": 0.04, "most": 0.06}
    importance = {
        "metric": "auc",
        "value": 0.91,
        "rows": 1000,
        "repeats": 5,
        "columns": [needs],
        "left_out": ["company"],
    }
    metrics = {**facts.metrics, "fairness": [table], "importance": {**importance, "why_not": ""}}
    card = {"intended_use": "To plan shifts.", "limits": ["Trips at night are few."], "contact": "taxi@x"}
    workload = {**facts.workload, "card": card, "training": {"seed": 3}, "data": {"personal_features": ["age"]}}
    return dataclasses.replace(facts, workload=workload, metrics=metrics, profile={"personal": ["age", "sex"]})
