"""The page about one run: plain facts in, one self-contained HTML file out."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from components import formats
from components.gates import GateResult
from components.report import charts, evaluation_view, figures, responsible_view, verdict, view
from components.report.facts import RunFacts
from components.report.search_view import search_view
from components.report.site import span_url
from components.report.sparklines import sparkline
from components.report.variants_view import variants_view

MAX_COLUMNS = 200
_CURVES = 4
_TEMPLATES = pathlib.Path(__file__).parent / "templates"


def render_run(facts: RunFacts) -> str:
    """The whole page, UTF-8 text, without a single outside resource."""
    judged = verdict.verdict(facts)
    others, groups = evaluation_view.slice_groups(facts)
    page = environment().get_template("page.html.j2")
    return page.render(
        facts=facts,
        verdict=judged,
        gates=verdict.gate_strip(facts),
        data_gates=verdict.data_gates(facts),
        model_gates=verdict.model_gates(facts),
        steps=verdict.next_steps(facts, judged.state),
        figures=view.key_figures(facts),
        metrics=facts.metrics or {},
        metric_rows=evaluation_view.metric_rows(facts),
        others=evaluation_view.others(facts),
        trivial=evaluation_view.TRIVIAL,
        sentence=evaluation_view.sentence,
        learnt=[evaluation_view.learnt(method) for method in evaluation_view.methods(facts)],
        primary=facts.primary,
        views=figures.figures(facts),
        search=search_view(facts),
        variants=variants_view(facts),
        galleries=_galleries(facts.gallery),
        fairness=responsible_view.fairness_tables(facts),
        importance=responsible_view.importance_figure(facts),
        explanations=responsible_view.explanations_figure(facts),
        sketches=_galleries(facts.sketches),
        other_metrics=others,
        slice_groups=groups,
        comparison=_comparison(facts),
        curves=_curves(facts),
        decision=evaluation_view.training_words(facts.training or {}),
        timings=view.timing_rows(facts),
        lineage=(lineage := _lineage(facts)),
        span_page=_span_page(facts, lineage["spans"]),
        max_columns=MAX_COLUMNS,
        small_slice=evaluation_view.SMALL_SLICE,
    )


def render_gate(gate: GateResult, key: str = "gate") -> Markup:
    """One gate's result as a fragment: failed checks with their evidence, then the passed ones folded away.

    Args:
        key: starts every id in the fragment; unique on its page.
    """
    module: Any = environment().get_template("gate.html.j2").module
    return Markup(module.gate(view.gate_view(gate), key))  # noqa: S704 the template escapes


@functools.cache
def environment() -> jinja2.Environment:
    """Of every page that is made of a run: its templates, filters and style."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        charts=charts,
        sparkline=sparkline,
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704 our own file
        render_gate=render_gate,
        confusion=evaluation_view.confusion,
        frequent_confusions=evaluation_view.frequent_confusions,
        link=_link,
    )
    for name in ("count", "figure", "brief", "signed", "percent", "duration", "when", "shorten", "plural"):
        environment.filters[name] = getattr(formats, name)
    return environment


def _galleries(content: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """Those of a gallery.json that have something to show."""
    return [one for one in (content or {}).get("galleries", ()) if one["tiles"]]


def _link(uri: str) -> str:
    """A URI that may stand in href: local paths and the web, never a scheme that runs code."""
    if uri.startswith("/"):
        return pathlib.PurePosixPath(uri).as_uri()
    return uri if uri.startswith(("https://", "http://", "file://")) else ""


def _comparison(facts: RunFacts) -> Markup | None:
    """The chart of the difference to the champion, where all its figures are known."""
    comparison = (facts.metrics or {}).get("champion") or {}
    figures = [comparison.get(key) for key in ("difference", "ci_low", "ci_high")]
    known = [float(value) for value in figures if value is not None and formats.is_number(value)]
    if len(known) < len(figures):
        return None
    difference, low, high = known
    return charts.interval_chart(
        "comparison",
        facts.primary.title,
        difference,
        low,
        high,
        comparison.get("max_loss") or 0.0,
        lower_is_better=facts.primary.lower_is_better,
    )


def _curves(facts: RunFacts) -> tuple[tuple[str, Markup], ...]:
    """One named chart per measure, train and eval in the same; the loss first."""
    training = facts.training or {}
    history: Mapping[str, Sequence[float]] = training.get("history") or {}
    names = [name for name in history if not name.startswith("val_") and name != "learning_rate"]
    names.sort(key=lambda name: name != "loss")
    length = max((len(values) for values in history.values()), default=0)
    epochs = training.get("epochs") or list(range(1, length + 1))
    best = training.get("best_epoch")
    best = best if formats.is_number(best) else None
    titles = {name: facts.metric(name).title for name in names[:_CURVES]}
    return tuple(
        (title, charts.learning_chart(f"curve-{i}", title, epochs, history[name], history.get(f"val_{name}", ()), best))
        for i, (name, title) in enumerate(titles.items())
    )


def _lineage(facts: RunFacts) -> dict[str, Any]:
    """Where this run's model comes from: spans with digests, code, parent, release, artifacts."""
    release = facts.release or {}
    properties = {key: value for one in facts.artifacts.values() for key, value in one.properties.items()}
    return {
        "spans": facts.spans,
        "code_revision": release.get("code_revision") or properties.get("code_revision") or "",
        "code_digest": release.get("code_digest") or properties.get("code_digest") or "",
        "version": release.get("version"),
        "uri": release.get("uri") or "",
        "digest": release.get("digest") or "",
        "parent": release.get("parent") or verdict.champion_version(facts),
        "hyperparameters": json.dumps(
            (facts.training or {}).get("hyperparameters") or {}, ensure_ascii=False, default=str
        ),
    }


def _span_page(facts: RunFacts, spans: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """(label, URL) of the page about the newest span's data; empty where no site is served."""
    number = spans[-1].get("span") if spans else None
    if not isinstance(number, int):
        return "", ""
    return f"span {number}", span_url(str(facts.workload.get("name", "")), number)
