"""What was decided, and why, in lines for a person: as many as a screen bears, however many columns there are."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from pipelines.scaffold import spelling
from pipelines.scaffold.dividing import told
from pipelines.scaffold.labelling import Label
from pipelines.scaffold.profiling import Column, Kind
from spec import home

if TYPE_CHECKING:
    from pipelines.scaffold.creating import Request
    from pipelines.scaffold.templates import Content

_MOST_NAMES = 12  # in a line
_MOST_REASONS = 15  # lines for a column each; more are told by the reason
_TITLES = {
    Kind.NUMBER: "Numbers",
    Kind.SKEWED: "Skewed numbers",
    Kind.CODE: "Integer codes",
    Kind.CATEGORY: "Categories",
    Kind.IDENTIFIER: "Identifiers",
    Kind.BOOLEAN: "Yes or no",
    Kind.DATE: "Dates",
    Kind.TEXT: "Texts",
    Kind.IMAGE: "Images",
    Kind.CARRIED: "For the split only",
}


def tell(
    request: Request,
    content: Content,
    targets: Mapping[str, pathlib.Path],
    done: Sequence[str],
    left_out: int,
) -> tuple[str, ...]:
    """The whole story.

    Args:
        request: what was asked for.
        content: what the files were made from.
        targets: what was made, and where.
        done: what was done to the rows first.
        left_out: expectations that were not written down.
    """
    table, label, profile = content.table, content.label, content.profile
    lines = [
        f"{table.num_rows:,} rows, {table.num_columns:,} columns in {request.data}",
        *done,
        *_of_label(request, label),
        *told(label, content.division),
    ]
    for kind, title in _TITLES.items():
        if names := [column.name for column in profile.columns if column.kind is kind]:
            lines.append(f"{title}{_count(names)}: {_some(names)}")
    lines += [f"Look at {column.name!r}: {column.note}" for column in profile.columns if column.note]
    lines += _near_duplicates(table, profile.columns)
    if personal := [column.name for column in profile.columns if column.personal]:
        lines.append(f"Personal by the form of their texts, and so shown nowhere (schema.pbtxt): {_some(personal)}")
    lines += _of_ignored(profile.ignored)
    if left_out:
        lines.append(f"Expectations: the most useful ones are in expectations.json; {left_out:,} more would hold, too")
    return (*lines, "Made:", *(f"  {_short(path)}" for path in targets.values()))


def _of_label(request: Request, label: Label) -> list[str]:
    change = "" if request.task else "; --task changes it"
    task = f"Task: {label.task} ({label.reason}{change})"
    if label.majority is None:
        scale = f"{label.name!r} has a long tail: its logarithm is learnt, and answers are in its own unit"
        hint = " (workload.yaml, training.label_scale)"
        trivial = f"{label.name!r}: mean {label.mean:.4g}; always saying that has an RMSE of {label.std:.4g}"
        return [task, trivial, *([scale + hint] if label.long_tail else [])]
    shown = ", ".join(str(c) for c in label.classes[:8]) + (", ..." if len(label.classes) > 8 else "")
    always = f"always saying {label.majority[0]} is right in {label.majority[1]:.1%}"
    return [task, f"Classes of {label.name!r}: {shown}; {always}"]


def _of_ignored(ignored: Mapping[str, str]) -> list[str]:
    if len(ignored) <= _MOST_REASONS:
        return [f"Ignored: {name!r}: {reason}" for name, reason in ignored.items()]
    by_reason = collections.defaultdict(list)
    for name, reason in ignored.items():
        by_reason[reason].append(name)
    lines = [f"Ignored{_count(names)}: {_some(names)}: {reason}" for reason, names in by_reason.items()]
    rest = len(lines) - _MOST_REASONS
    return lines[:_MOST_REASONS] + ([f"Ignored for {rest:,} other reasons: see workload.yaml"] if rest > 0 else [])


def _near_duplicates(table: pa.Table, columns: Sequence[Column]) -> list[str]:
    """Categories that a person would take for one; the model does not."""
    lines = []
    for column in columns:
        found = spelling.spellings(table.column(column.name)) if column.kind is Kind.CATEGORY else []
        if found and not column.personal:
            shown = "; ".join(" and ".join(map(repr, group)) for group in found[:3]) + "; ..." * (len(found) > 3)
            lines.append(
                f"Look at {column.name!r}: {shown} differ only in case or spaces, and count as different categories"
            )
    return (
        lines if len(lines) <= _MOST_REASONS else [*lines[:_MOST_REASONS], f"and {len(lines) - _MOST_REASONS:,} more"]
    )


def _count(names: Collection[str]) -> str:
    return f" ({len(names):,})" if len(names) > _MOST_NAMES else ""


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return shown if len(names) <= _MOST_NAMES else f"{shown} and {len(names) - _MOST_NAMES:,} more"


def _short(path: pathlib.Path) -> str:
    return str(path.relative_to(home.ROOT)) if path.is_relative_to(home.ROOT) else str(path)
