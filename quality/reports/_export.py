"""The data behind the pages, as CSV and JSON."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from quality.history import Validation
from quality.reports.site_views import WorkloadView

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_VALIDATION = ("id", "workload", "span", "created_at", "source", "outcome", "headline", "rows", "quarantined", "owner")
_CHECK = (
    "gate",
    "name",
    "passes",
    "judged",
    "severity",
    "message",
    "column",
    "expectation",
    "unexpected",
    "total",
    "waiver",
)
_COLUMN = ("name", "kind", "rows", "missing", "distinct", "mean", "deviation", "minimum", "maximum")
_CHANGE = ("kind", "column", "slice", "reference", "measure", "value", "limit", "severity", "exceeded")


def overview_json(views: Sequence[WorkloadView]) -> str:
    """The newest validation of every workload."""
    return _json([_without_parts(view.newest.validation) for view in views])


def workload_files(view: WorkloadView) -> dict[str, Callable[[], str]]:
    """File name -> function that makes its text."""
    validations = [entry.validation for entry in view.entries]
    return {
        "validations.csv": lambda: _csv(_VALIDATION, ([getattr(v, f) for f in _VALIDATION] for v in validations)),
        "validations.json": lambda: _json([_without_parts(v) for v in validations]),
        "releases.json": lambda: _json(list(view.releases)),
    }


def column_csv(view: WorkloadView, name: str) -> str:
    """One column over all validations, oldest first."""
    series, changes = view.series[name], view.changes.get(name, {})
    probabilities = sorted({p for column in series.values() for p in column.quantiles})
    measures = sorted({c.measure for found in changes.values() for c in found if c.kind == "drift" and not c.slice})
    rows = []
    for entry in reversed(view.entries):
        column = series.get(entry.validation.id)
        if column is not None:
            drift = {c.measure: c.value for c in changes.get(entry.validation.id, ()) if not c.slice}
            quantiles = [column.quantiles.get(p) for p in probabilities]
            figures = [getattr(column, f) for f in _COLUMN[1:]]
            rows.append(
                [entry.validation.id, entry.validation.span, entry.validation.created_at, *figures, *quantiles]
                + [drift.get(measure) for measure in measures]
            )
    head = ("validation", "span", "created_at", *_COLUMN[1:], *(f"quantile_{p:g}" for p in probabilities), *measures)
    return _csv(head, rows)


def column_json(view: WorkloadView, name: str) -> str:
    """One column over all validations, oldest first, with how far it moved, slices too."""
    series, changes = view.series[name], view.changes.get(name, {})
    return _json(
        [
            {
                "validation": entry.validation.id,
                "span": entry.validation.span,
                "created_at": entry.validation.created_at,
                **{field: getattr(series[entry.validation.id], field) for field in (*_COLUMN, "quantiles")},
                "changes": list(changes.get(entry.validation.id, ())),
            }
            for entry in reversed(view.entries)
            if entry.validation.id in series
        ]
    )


def validation_files(validation: Validation) -> dict[str, str]:
    """File name -> its text."""
    parts = (("checks", _CHECK), ("columns", _COLUMN), ("changes", _CHANGE))
    return {
        "validation.json": _json(validation),
        **{
            f"{name}.csv": _csv(fields, ([getattr(one, f) for f in fields] for one in getattr(validation, name)))
            for name, fields in parts
        },
    }


def _without_parts(validation: Validation) -> dict[str, Any]:
    return {f: getattr(validation, f) for f in _VALIDATION}


def _json(value: Any) -> str:
    # Not indented: only the slow encoder can do that, which takes minutes for 18,000 validations.
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return vars(value) if dataclasses.is_dataclass(value) else str(value)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Quotes text from the data that a spreadsheet would run as a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
