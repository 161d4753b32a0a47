"""Metrics by the values of columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import is_list
from components.tasks import MergeableSums, Task, UnitTerms

MISSING = "(missing)"
# A column of more values is an identifier, not something to slice by; a table of it would help nobody.
MAX_VALUES = 1000
_MAX_CELLS = 32_000_000  # 256 MB of float64


class SlicedSums:
    """Sums for each value of one column, met in any order; two of them can be merged.

    Attributes:
        values: index of each value, by its text.
        raw: each value as the column has it, by its text.
        too_many: whether the column has more values than can be sliced by; there are no sums then.
    """

    def __init__(self, column: str, task: Task) -> None:
        self.column = column
        self.values: dict[str, int] = {}
        self.raw: dict[str, object] = {}
        self.sums: MergeableSums | None = None
        self.too_many = False
        self._task = task
        self._limit = min(MAX_VALUES, max(1, _MAX_CELLS // max(1, sum(task.widths.values()))))

    def codes(self, column: pa.Array) -> np.ndarray:
        """The slice of each row, [N]; of lists each combination is one."""
        if is_list(column.type):
            column = pc.binary_join(column.cast(pa.list_(pa.string())), ", ")
        encoded = column.dictionary_encode(null_encoding="encode")
        raw = encoded.dictionary.to_pylist()
        names = [_text(value) for value in raw]
        if len(self.values.keys() | set(names)) > self._limit:
            self.too_many, self.sums = True, None
        if self.too_many:
            return np.zeros(len(column), np.int64)
        self.raw.update(zip(names, raw, strict=True))
        table = np.array([self.values.setdefault(name, len(self.values)) for name in names], dtype=np.int64)
        return table[encoded.indices.to_numpy(zero_copy_only=False)]

    def add(self, units: UnitTerms, codes: np.ndarray) -> None:
        """Adds units whose slices are `codes`."""
        if self.too_many:
            return
        found = self._task.reduce(units, codes, len(self.values))
        self.sums = found if self.sums is None else self.sums + found

    def merge(self, other: SlicedSums) -> np.ndarray:
        """Adds another's sums, value by value.

        Returns:
            This one's code for each of the other's, to translate codes that are not summed yet.
        """
        if self.too_many or other.too_many:
            self.too_many, self.sums = True, None
            return np.zeros(max(1, len(other.values)), np.int64)
        order = np.array([self.values.setdefault(name, len(self.values)) for name in other.values], dtype=np.int64)
        self.raw.update(other.raw)
        if len(self.values) > self._limit:
            self.too_many, self.sums = True, None
        elif other.sums is not None:
            moved = other.sums.padded(len(other.values)).moved(order, len(self.values))
            self.sums = moved if self.sums is None else self.sums + moved
        return order if len(order) else np.zeros(1, np.int64)

    def by_rows(self) -> list[tuple[str, int, int]]:
        """Value, index and rows of each slice, the largest first."""
        if self.sums is None:
            return []
        rows = self.sums.terms["rows"]
        found = [(name, index, int(rows[index])) for name, index in self.values.items() if index < len(rows)]
        return sorted((f for f in found if f[2]), key=lambda f: (-f[2], f[0]))


def _text(value: object) -> str:
    if value is None:
        return MISSING
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
