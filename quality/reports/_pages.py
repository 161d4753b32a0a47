"""The pages, from views to HTML."""

from __future__ import annotations

import functools
import hashlib
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from components import formats
from components.report import render as run_report
from components.report.render import render_gate
from quality.history import Column, Outcome, Validation
from quality.reports import _charts, _in_use, _paths, site_views
from quality.reports.site_views import Entry, WorkloadView

STRIP = 60
"""How many spans of a workload the overview shows."""
_BETWEEN_SPANS = ("drift", "label_shift")
_SUDDEN = 0.05
"""A rise of the share of missing values that is worth pointing out."""
SHORT_STRIP = 20
"""How many spans to show of a workload that is one row among many."""
_MANY = 6
MAX_ROWS = 500
"""How many rows a table shows; the rest is in the CSV beside it."""
PREDICTION = "prediction: "
"""Prefix of columns that are answers of the model; their changes have the output's own name."""
MAX_FIGURES = 120
"""How many spans the table below a column's charts shows."""
_TEMPLATES = pathlib.Path(__file__).parent / "templates"
_RUN_REPORT = pathlib.Path(run_report.__file__).parent / "templates"


def style() -> str:
    """The run report's style sheet, and the site's additions."""
    return "".join(path.read_text(encoding="utf-8") for path in (_RUN_REPORT / "style.css", _TEMPLATES / "site.css"))


@functools.cache
def version() -> str:
    """A digest of templates and code: changes when the same data would look different."""
    digest = hashlib.sha256()
    for path in sorted([*_TEMPLATES.iterdir(), *_RUN_REPORT.iterdir(), *pathlib.Path(__file__).parent.glob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def overview(views: Sequence[WorkloadView]) -> str:
    """All workloads with their newest verdict and last spans; if there are many, the trusted ones are rows of a table."""
    trusted = [view for view in views if view.outcome is Outcome.PASSED]
    listed = trusted if len(views) > _MANY else []
    return _render(
        "overview.html.j2",
        _paths.INDEX,
        told=[view for view in views if not listed or view.outcome is not Outcome.PASSED],
        listed=listed,
        short_strip=SHORT_STRIP,
        sentence=site_views.overview_sentence(views),
        strip=STRIP,
        updated=max((view.newest.validation.created_at for view in views), default=""),
    )


def workload(view: WorkloadView, column_pages: int) -> str:
    """All validations of a workload, and its columns."""
    now = view.newest.validation.id
    oldest_first = list(reversed(view.spans[:STRIP]))
    rows = []
    of_spans = {entry.validation.id for entry in view.spans}
    for name in view.columns()[:column_pages]:
        series = view.series[name]
        if not of_spans & series.keys():  # known from requests alone
            continue
        values = [series.get(e.validation.id) for e in oldest_first]
        changes = [c for c in view.changes.get(name, {}).get(now, ()) if c.kind in _BETWEEN_SPANS and not c.slice]
        missing = [v.missing if v else None for v in values]
        rows.append(
            {
                "name": name,
                "now": series.get(now),
                "missing": missing,
                "was": _was(missing),
                "middle": [_middle(v) for v in values],
                "drift": next((c for c in changes if c.measure == "psi"), changes[0] if changes else None),
            }
        )
    return _render(
        "workload.html.j2",
        _paths.workload(view.name),
        view=view,
        columns=rows,
        rows_drawn=_rows_drawn(view),
        in_use=[(title, svg) for title, svg in _in_use.charts(view, STRIP) if svg],
        strip=STRIP,
        entries=view.entries[:MAX_ROWS],
        hidden=max(0, len(view.entries) - MAX_ROWS),
        hidden_columns=max(0, len(view.series) - column_pages),
    )


def validation(
    view: WorkloadView,
    whole: Validation,
    reference: Validation | None,
    neighbours: tuple[Entry | None, Entry | None],
    documents: Mapping[str, str],
) -> str:
    """One validation: verdict, what failed with its evidence, what changed, the columns.

    Args:
        reference: whose distributions are drawn beside: what it was compared with, else the span before it.
        neighbours: the validations (before, after) it.
        documents: further pages by name, as paths from this one.
    """
    before = {column.name: column for column in reference.columns} if reference else {}
    gates = site_views.gates(whole)
    compared = list(dict.fromkeys(change.reference for change in whole.changes))
    label = site_views.label(reference) if reference else ""
    return _render(
        "validation.html.j2",
        _paths.validation(view.name, whole.id),
        view=view,
        one=whole,
        label=site_views.label(whole),
        state=site_views.STATES[whole.outcome],
        word=Entry(whole, "").word,
        gates=site_views.beyond_changes(gates),
        tallies=site_views.tallies(gates),
        places={gate.gate: place for place, (_, gate) in enumerate(gates, 1)},
        changes=site_views.change_rows(whole.changes),
        against=compared[0] if len(compared) == 1 else "",
        drawn_beside=label,
        before=before,
        before_entry=neighbours[0],
        after_entry=neighbours[1],
        documents=documents,
        out_of_reach={name: place for name, place in whole.documents.items() if name not in documents},
        document_names=site_views.DOCUMENTS,
        has_pages=set(view.columns()[:300]),
        max_rows=MAX_ROWS,
    )


def column(view: WorkloadView, name: str) -> str:
    """One column over time: missing values, distinct values, quantiles, drift; releases are marked."""
    known = [e for e in reversed(view.entries) if e.validation.id in view.series[name]][-MAX_ROWS:]
    asked = [e for e in known if e.is_of_model]
    entries = [e for e in reversed(view.spans) if e.validation.id in view.series[name]][-MAX_ROWS:] or asked
    values = [view.series[name][entry.validation.id] for entry in entries]
    is_answer = name.startswith(PREDICTION)  # a feature may have an output's name
    changes = {
        validation_id: [change for change in found if (change.kind == "prediction_drift") == is_answer]
        for validation_id, found in view.changes.get(name.removeprefix(PREDICTION), {}).items()
    }
    drawn = _column_charts(_axis(view, entries), entries, values)
    drawn += _change_charts(_axis(view, entries), [e for e in entries if not e.is_of_model], changes)
    drawn += _change_charts(_axis(view, asked), asked, changes)
    return _render(
        "column.html.j2",
        _paths.column(view.name, name),
        view=view,
        name=name,
        entries=entries,
        values=values,
        shown=entries[-MAX_FIGURES:],
        charts_drawn=drawn,
    )


def forward(page: str, to: str, label: str) -> str:
    """A redirect: the address of a span is permanent, its target may change."""
    return _render("forward.html.j2", page, to=_paths.relative(to, page), label=label)


def neighbours(view: WorkloadView, place: int) -> tuple[Entry | None, Entry | None]:
    """The newest validations of the spans (before, after); for data without spans, the validations by time."""
    entry = view.entries[place]
    if entry.validation.span is None or entry.is_of_model:
        before = view.entries[place + 1] if place + 1 < len(view.entries) else None
        return before, view.entries[place - 1] if place else None
    spans = {e.validation.span: e for e in view.spans if e.validation.span is not None}
    lower = [span for span in spans if span < entry.validation.span]
    higher = [span for span in spans if span > entry.validation.span]
    return spans.get(max(lower, default=-1)), spans.get(min(higher, default=-1))


def span_before(view: WorkloadView, place: int) -> str:
    """The validation that an entry's data is drawn beside if it names no other: of the last accepted span before it,
    as known at that time."""
    entry, earlier = view.entries[place], view.entries[place + 1 :]
    if entry.validation.span is None:
        return next((e.validation.id for e in earlier if e.label != entry.label), "")
    last: dict[int, Validation] = {}  # the last verdict on each span
    for e in earlier:
        if e.validation.span is not None and e.validation.span < entry.validation.span and not e.is_of_model:
            last.setdefault(e.validation.span, e.validation)
    accepted = [span for span, one in last.items() if one.outcome is not Outcome.FAILED]
    return last[max(accepted)].id if accepted else ""


def _was(missing: Sequence[float | None]) -> float | None:
    """The previous share of missing values, if it has risen a lot since; else None."""
    if len(missing) < 2 or missing[-1] is None or missing[-2] is None:
        return None
    return missing[-2] if missing[-1] - missing[-2] >= _SUDDEN else None


def _rows_drawn(view: WorkloadView) -> Markup:
    """A chart of the rows per span, which shows half a span at a glance."""
    entries = list(reversed(view.spans[:STRIP]))
    rows = [None if e.validation.rows is None else float(e.validation.rows) for e in entries]
    if sum(value is not None for value in rows) < 2:
        return Markup("")
    return _charts.over_time("rows", "Rows a span", _axis(view, entries), [_charts.Line("rows", rows)], floor=0.0)


def _middle(column: Column | None) -> float | None:
    """What a column's sparkline shows: the median of numbers, the number of different texts."""
    if column is None:
        return None
    return column.quantiles.get(0.5, column.mean if column.distinct is None else float(column.distinct))


def _axis(view: WorkloadView, entries: Sequence[Entry]) -> _charts.Axis:
    runs = {entry.validation.id: place for place, entry in enumerate(entries)}
    spans = {entry.validation.span: place for place, entry in enumerate(entries) if entry.validation.span is not None}
    marks = []
    for release in view.releases:
        place = runs.get(release.run_id, -1 if release.span is None else spans.get(release.span, -1))
        if place >= 0:
            marks.append((place, f"v{release.version}"))
    labels = [
        str(e.validation.span if e.validation.span is not None else e.validation.created_at[:10]) for e in entries
    ]
    return _charts.Axis(labels, tuple(marks))


def _column_charts(axis: _charts.Axis, entries: Sequence[Entry], values: Sequence[Column]) -> list[tuple[str, Markup]]:
    """(title, SVG) of each chart of a column."""
    missing = [_charts.Line("missing", [v.missing for v in values])]
    title = "Share of missing values"
    drawn = [
        (
            "Missing values",
            _charts.over_time("missing", title, axis, missing, floor=0.0, least=0.05, tick=formats.percent),
        )
    ]
    if any(v.distinct is not None for v in values):
        line = _charts.Line("distinct", [None if v.distinct is None else float(v.distinct) for v in values])
        drawn.append(("Different values", _charts.over_time("distinct", "Different values", axis, [line], floor=0.0)))
    if any(v.quantiles for v in values):
        at = {p: [v.quantiles.get(p) for v in values] for p in (0.05, 0.25, 0.5, 0.75, 0.95)}
        bands = [(at[0.05], at[0.95]), (at[0.25], at[0.75])]
        lines = [_charts.Line("median", at[0.5])]
        drawn.append(("Quantiles", _charts.over_time("quantiles", "Median and quantiles", axis, lines, bands)))
    return drawn


def _change_charts(
    axis: _charts.Axis, entries: Sequence[Entry], changes: Mapping[str, Sequence[Any]]
) -> list[tuple[str, Markup]]:
    """(title, SVG) of how far a column moved, for each kind and measure."""
    at: dict[tuple[str, str], dict[int, Any]] = {}
    for place, entry in enumerate(entries):
        for change in changes.get(entry.validation.id, ()):
            if not change.slice:
                at.setdefault((change.kind, change.measure), {})[place] = change
    drawn = []
    for kind, title in site_views.KINDS.items():
        for measure, named in site_views.MEASURES.items():
            if found := at.get((kind, measure)):
                limit = next((found[p].limit for p in sorted(found, reverse=True) if found[p].limit is not None), None)
                values = [found[p].value if p in found else None for p in range(len(entries))]
                line, what = _charts.Line(named, values), f"{title}: {named}"
                svg = _charts.over_time(f"{kind}-{measure}", what, axis, [line], limit=limit, floor=0.0)
                drawn.append((what, svg))
    return drawn


def _render(template: str, page: str, **context: Any) -> str:
    def link(to: str) -> str:
        return _paths.relative(to, page)

    return _environment().get_template(template).render(link=link, **context)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([_TEMPLATES, _RUN_REPORT]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        charts=_charts, paths=_paths, render_gate=render_gate, words=site_views.WORDS, states=site_views.STATES,
        kinds=site_views.KINDS, measures=site_views.MEASURES,
    )  # fmt: skip
    for name in ("brief", "count", "figure", "percent", "plural", "shorten", "when"):
        environment.filters[name] = getattr(formats, name)
    return environment
