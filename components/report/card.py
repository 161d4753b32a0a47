"""The model card: what people outside need to know of a model, as plain data. `card_page` makes pages of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from components import formats
from components.gates import Severity
from components.report.evaluation_view import (
    SMALL_SLICE,
    bars_of,
    judged_words,
    others,
    sentence,
    slice_groups,
    training_words,
)
from components.report.facts import RunFacts
from components.report.search_view import search_sentence
from spec import graph
from spec import metrics as known

NEEDS = ("statistics", "drift", "evaluation", "model_run", "best_hyperparameters")
"""What a card is made of, by the names among a run's artifacts, besides the examples and the results of gates."""

_WEAKEST = 5  # slices of each column
_MOST_NEEDED = 10  # columns


def document(facts: RunFacts) -> dict[str, Any]:
    """The card of the model that a run made. What the run did not find out is null or empty.

    Figures are numbers in the metrics' own units. What is known of the release (version, digest, code) is not in it: a card is
    made before its release, and is one of its files.
    """
    workload = facts.workload
    said = workload.get("card") or {}
    return {
        "model": workload.get("name", "model"),
        "task": workload.get("task"),
        "description": workload.get("description") or "",
        "owner": workload.get("owner"),
        "intended_use": said.get("intended_use") or "",
        "contact": said.get("contact") or "",
        "run": facts.run_id,
        "data": _data(facts),
        "training": _training(facts),
        "evaluation": _evaluation(facts),
        "limits": _limits(facts),
    }


def _data(facts: RunFacts) -> dict[str, Any]:
    label = (facts.metrics or {}).get("label")
    learnt = set((facts.workload.get("data") or {}).get("personal_features") or ())
    return {
        "label": label,
        "spans": [dict(one) for one in facts.spans],
        "rows": dict(facts.dataset.rows) if facts.dataset else {},
        "columns": len(facts.dataset.columns) if facts.dataset else None,
        "personal": {
            "left_out": sorted(facts.personal - learnt - {label}),
            "learnt_from": sorted(facts.personal & learnt),
        },
    }


def _training(facts: RunFacts) -> dict[str, Any]:
    training = facts.training or {}
    return {
        "parameters": training.get("parameters"),
        "epochs": len(training.get("epochs") or ()),
        "best_epoch": training.get("best_epoch"),
        "seed": (facts.workload.get("training") or {}).get("seed"),
        "hyperparameters": training.get("hyperparameters") or {},
        "privacy": training.get("privacy"),
        "words": [*training_words(training), *([search_sentence(facts)] if facts.search else [])],
    }


def _evaluation(facts: RunFacts) -> dict[str, Any] | None:
    metrics = facts.metrics or {}
    if not metrics:
        return None
    return {
        "rows": metrics.get("rows"),
        "metric": facts.primary.name,
        "words": sentence(metrics["baseline"]["words"]) if metrics.get("baseline") else "",
        "metrics": _metrics(facts),
        "slices": _slices(facts),
        "fairness": [_gap(one["column"], gap) for one in metrics.get("fairness") or () for gap in one["gaps"]],
        "importance": _importance(facts),
        "variants": [
            {name: one[name] for name in ("name", "method", "value", "loss", "size", "latency")}
            for one in (metrics.get("variants") or {}).get("variants", ())
        ],
    }


def _metrics(facts: RunFacts) -> list[dict[str, Any]]:
    metrics = facts.metrics or {}
    overall, sure, beside = metrics.get("overall") or {}, metrics.get("bounds") or {}, others(facts)
    return [
        {
            "metric": name,
            "title": facts.metric(name).title,
            "value": value,
            "interval": (sure.get(name) or {}).get("words", ""),
            "beside": {head: values.get(name) for head, values in beside},
            **_judged(bars_of(facts, name)),
        }
        for name, value in sorted(overall.items(), key=lambda item: item[0] != facts.primary.name)
    ]


def _slices(facts: RunFacts) -> list[dict[str, Any]]:
    _, groups = slice_groups(facts, limit=_WEAKEST)
    return [
        {"column": group.column, "value": one.value, "rows": one.rows, "figure": one.primary, "verdict": one.word}
        for group in groups
        for one in group.rows
    ]


def _gap(column: str, gap: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "column": column,
        "metric": gap["metric"],
        "title": known.find(gap["metric"]).title,
        "class": gap["class"],
        "value": gap["value"],
        "interval": gap["words"],
        **_judged(gap["bars"]),
    }


def _judged(bars: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    bounds = [{"min": bar.get("min"), "max": bar.get("max")} for bar in bars]
    return {"bounds": bounds, "verdict": judged_words(bars)[1]}


def _importance(facts: RunFacts) -> dict[str, Any] | None:
    found = (facts.metrics or {}).get("importance")
    if not found or not found["columns"]:
        return None
    columns = [{name: one[name] for name in ("column", "drop", "deviation")} for one in found["columns"][:_MOST_NEEDED]]
    return {"metric": found["metric"], "rows": found["rows"], "columns": columns}


def _limits(facts: RunFacts) -> list[str]:
    """What workload.yaml says, and what the run itself found; a card cannot know what the model will meet."""
    metrics = facts.metrics or {}
    lines = [str(limit) for limit in (facts.workload.get("card") or {}).get("limits") or ()]
    lines += [
        f"{check.words} ({graph.title(node)}, warning)"
        for node, gate in facts.gates.items()
        for check in gate.objections(Severity.WARNING)
    ]
    if facts.quarantined:
        lines.append(f"{formats.plural(facts.quarantined, 'malformed row')} of the data were set aside")
    if facts.unlabelled:
        lines.append(f"{formats.plural(facts.unlabelled, 'row')} without a label were left out")
    small = [one for one in metrics.get("slices") or () if (one.get("rows") or 0) < SMALL_SLICE]
    if small:
        lines.append(
            f"{formats.plural(len(small), 'slice')} with less than {SMALL_SLICE} rows: their figures say little"
        )
    if metrics and not metrics.get("champion"):
        lines.append("It was not compared with another model")
    if metrics:
        lines.append("Figures are of held-out rows of the spans above; they say nothing about data of another kind")
    return lines
