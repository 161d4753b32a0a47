"""What was decided, and why, in lines for a person: no more than fit on a screen, however many columns there are."""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Collection, Mapping, Sequence

import pyarrow as pa

from pipelines.scaffold import spelling
from pipelines.scaffold.dividing import told
from pipelines.scaffold.profiling import Column, Kind
from pipelines.scaffold.templates import Content
from spec import home

_MOST_NAMES = 12  # in a line
_MOST_REASONS = 15  # columns with a line each; more are grouped by the reason
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
    Kind.CARRIED: "Read, but no feature",
}


def tell(
    content: Content,
    targets: Mapping[str, pathlib.Path],
    done: Sequence[str],
    left_out: int,
) -> tuple[str, ...]:
    """The whole story.

    Args:
        done: what was done to the rows first, and why the task was chosen.
        left_out: expectations that were not written down.
    """
    table, label, profile = content.table, content.label, content.profile
    lines = [
        f"{table.num_rows:,} rows, {table.num_columns:,} columns in {content.request.data}",
        *done,
        *label.story,
        *told(label, content.division),
    ]
    for kind, title in _TITLES.items():
        if names := [column.name for column in profile.columns if column.kind is kind]:
            lines.append(f"{title}{_count(names)}: {_some(names)}")
    lines += [f"Look at {column.name!r}: {column.note}" for column in profile.columns if column.note]
    lines += _near_duplicates(table, profile.columns)
    if personal := [column.name for column in profile.columns if column.personal]:
        said = (
            "Personal by the form of their texts: shown nowhere, and no feature unless data.personal_features says so: "
        )
        lines.append(said + _some(personal))
    lines += _of_ignored(profile.ignored)
    if left_out:
        lines.append(f"Expectations: the most useful ones are in expectations.json; {left_out:,} more would hold, too")
    return (*lines, "Made:", *(f"  {_short(path)}" for path in targets.values()))


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
    """Categories that a person would take for the same; the model does not."""
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
