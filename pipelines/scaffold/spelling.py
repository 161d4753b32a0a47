"""What only a person can say about a label: whether two spellings are one class, and what happens to rows without one."""

from __future__ import annotations

import collections

import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import is_text
from components.ingestion.labels import labelled
from components.ingestion.rewriting import Spellings, fold
from spec.errors import InputError

_SHOWN = 5
_MOST_VALUES = 5000  # distinct texts at most; nobody would look at the spellings of more


class Undecided(InputError):
    """A question that only a person can answer.

    Attributes:
        option: the field of `Request` that answers it with yes.
        question: for a person at a terminal.
    """

    def __init__(self, message: str, option: str, question: str) -> None:
        super().__init__(message)
        self.option, self.question = option, question


def settle(
    table: pa.Table, label: str, merge: bool, drop: bool, empty_is_none: bool = False
) -> tuple[pa.Table, list[str]]:
    """The rows that have a label, each class spelt in one way; and what was done, in lines for a person.

    Args:
        merge: whether spellings that differ only in case or spaces are one class.
        drop: whether rows without a label are left out.
        empty_is_none: whether a row without a text is one of none of the classes, as runs read it, and not one without a label.

    Raises:
        Undecided: there are such rows or spellings, and nothing says what they mean.
    """
    present = labelled(table.column(label))
    without = table.num_rows - pc.sum(present).as_py()
    if without == table.num_rows:
        raise InputError(f"label {label!r}: no row has one. Name another column with --label.")
    if empty_is_none:
        without = 0
    if without and not drop:
        raise _unlabelled(label, present, without)
    done = [f"Left out: {without:,} row{'s' * (without != 1)} without a label"] if without else []
    table = table.filter(present) if without else table
    values = table.column(label)
    groups = spellings(values)
    if not groups:
        return table, done
    if not merge:
        raise _spelt(label, groups)
    chosen = Spellings(tuple(min(group, key=lambda one: (one != one.strip(), -group[one], one)) for group in groups))
    merged = [chosen(chunk.cast(pa.string())) for chunk in values.chunks]
    done += [
        f"One class: {', '.join(f'{text!r} ({count:,})' for text, count in group.items())}: "
        f"{chosen(pa.array(list(group)))[0].as_py()!r}"
        for group in groups
    ]
    return table.set_column(table.column_names.index(label), label, pa.chunked_array(merged, pa.string())), done


def spellings(values: pa.ChunkedArray) -> list[dict[str, int]]:
    """Texts that differ only in case or spaces: for each group, how many rows have which."""
    if not is_text(values.type):
        return []
    counted = pc.value_counts(values.drop_null().combine_chunks())
    if len(counted) > _MOST_VALUES:
        return []
    groups: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for one in counted.to_pylist():
        groups[fold(one["values"])][one["values"]] = one["counts"]
    return [group for group in groups.values() if len(group) > 1]


def _unlabelled(label: str, present: pa.ChunkedArray, without: int) -> Undecided:
    rows = pc.indices_nonzero(pc.invert(present)).slice(0, _SHOWN).to_pylist()
    shown = ", ".join(str(row + 1) for row in rows) + (", ..." if without > len(rows) else "")
    found = f"label {label!r}: {without:,} of {len(present):,} rows have none (row {shown})"
    return Undecided(
        f"{found}. Leave them out with --drop-unlabelled, or fill the label.",
        "drop_unlabelled",
        f"{found}. Leave them out, here and in every run?",
    )


def _spelt(label: str, groups: list[dict[str, int]]) -> Undecided:
    shown = "; ".join(
        ", ".join(f"{text!r} ({count:,} row{'s' * (count != 1)})" for text, count in group.items())
        for group in groups[:_SHOWN]
    )
    found = f"label {label!r}: classes that differ only in case or spaces: {shown}"
    return Undecided(
        f"{found}. Take them for one with --merge-labels, or mend the file.",
        "merge_labels",
        f"{found}. Are they one class, here and in every run?",
    )
