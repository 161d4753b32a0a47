"""What can be retrieved: the items that train has, and what each query has had of them."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self

from components.tasks._columns import query_keys
from components.tasks._lazily import np, pa, pd, pq
from spec.errors import InputError
from spec.splits import EVAL, TRAIN

if TYPE_CHECKING:
    from components.tasks._context import Read

_ITEMS, _COUNTS, _SEEN = "items.parquet", "counts.parquet", "seen.parquet"


@dataclasses.dataclass(frozen=True)
class Seen:
    """Which items each query has had, in train or in eval.

    Attributes:
        raw: one value of the query's column each, in the order of the keys.
        keys: of `query_keys`, rising, [U].
        splits: where each query's items begin in `places`, and its end, [U + 1].
        places: of items, rising within a query, [S] of int64.
    """

    raw: pa.Array
    keys: np.ndarray
    splits: np.ndarray
    places: np.ndarray

    @classmethod
    def none(cls) -> Self:
        """Nobody has had anything."""
        return cls(pa.array([], pa.int64()), *(np.zeros(size, np.int64) for size in (0, 1, 0)))

    @classmethod
    def of(cls, raw: pa.Array, places: np.ndarray, name: str) -> Self:
        """From interactions: the query of each and the item's place, [N]."""
        keys, firsts, query = np.unique(query_keys(raw, name), return_index=True, return_inverse=True)
        pairs = np.unique(np.stack([query, places], axis=1), axis=0)
        splits = np.searchsorted(pairs[:, 0], np.arange(len(keys) + 1))
        return cls(raw.take(pa.array(firsts)), keys, splits, pairs[:, 1])

    def rows(self, keys: np.ndarray) -> np.ndarray:
        """The row of each query, [N]; -1 for those that train does not have."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        found = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[found] == keys, found, -1)

    def of_row(self, row: int) -> np.ndarray:
        """The places that a query has had; none where the row is -1."""
        return self.places[self.splits[row] : self.splits[row + 1]] if row >= 0 else self.places[:0]

    def before(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """How many of a query's items come before a place, for rows and places that broadcast; 0 where the row is -1."""
        known = np.maximum(rows, 0)
        found = np.searchsorted(self._joined, self._pair(known, places))
        return np.where(rows >= 0, found - self.splits[known], 0)

    def has(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Whether a query has had the item at a place, for rows and places that broadcast."""
        if not len(self.places):
            return np.zeros(np.broadcast_shapes(rows.shape, places.shape), bool)
        pairs = self._pair(np.maximum(rows, 0), places)
        found = np.minimum(np.searchsorted(self._joined, pairs), len(self._joined) - 1)
        return np.asarray((rows >= 0) & (places >= 0) & (self._joined[found] == pairs))

    def _pair(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Query and place as one number; a place beyond all that somebody has had is one of its own."""
        return rows * self._width + np.clip(places, 0, self._width - 1)

    @functools.cached_property
    def _width(self) -> int:
        return int(self.places.max(initial=0)) + 2

    @functools.cached_property
    def _joined(self) -> np.ndarray:
        """Query and place as one number, rising, [S]."""
        return self._pair(np.repeat(np.arange(len(self.keys)), np.diff(self.splits)), self.places)


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """The distinct items of train, the most frequent first, so that an item's place is its rank by popularity.

    Attributes:
        items: their columns, [M] rows: of each item the values of its first row.
        ids: as text, [M] of object; without an item column the number of the row in train.
        counts: in how many rows of train each item is, [M].
        seen: what each query has had.
    """

    items: pa.Table
    ids: np.ndarray
    counts: np.ndarray
    seen: Seen

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def popularity(self) -> np.ndarray:
        """Of each item, the share of the catalogue that is less frequent, and half of what is as frequent, [M]."""
        rising = np.sort(self.counts)
        below, above = (np.searchsorted(rising, self.counts, side) for side in ("left", "right"))
        return np.asarray((below + above) / (2 * len(self)))

    @functools.cached_property
    def _index(self) -> Any:
        return pd.Index(self.ids)

    def places(self, ids: Any) -> np.ndarray:
        """The place of each id, of any shape, text, bytes or numbers; -1 for what is not in the catalogue."""
        found = np.asarray(ids)
        return np.asarray(self._index.get_indexer(as_text(found.reshape(-1)))).reshape(found.shape)

    @classmethod
    def of(
        cls,
        read: Callable[[str], Read],
        item: str | None,
        columns: Sequence[str],
        query: str | None = None,
    ) -> Self:
        """Reads the items of train, and the interactions of train and eval.

        Args:
            read: split -> columns -> its batches of raw columns.
            item: the column of the ids; None: each row of train is an item.
            columns: of the items.
            query: the column of the queries; None: a row of test is a query that train cannot have.

        Raises:
            InputError: an id is missing or is neither text nor a whole number.
        """
        if item is None:
            items = _table(read(TRAIN)(columns))
            rows = np.arange(items.num_rows)
            return cls(items, as_text(rows), np.ones(len(rows), np.int64), Seen.none())
        links = list(filter(None, (query, item)))
        train = _table(read(TRAIN)(links))
        encoded = _ids(train, item).dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        ids = as_text(encoded.dictionary)
        counts = np.bincount(codes, minlength=len(ids))
        order = np.lexsort((ids, -counts))
        firsts = np.unique(codes, return_index=True)[1][order]
        found = cls(_rows(read(TRAIN)(columns), firsts), ids[order], counts[order], Seen.none())
        if query is None:
            return found
        evaluation = pa.Table.from_batches(read(EVAL)(links), train.schema)
        later = found.places(as_text(_ids(evaluation, item)))
        places = np.append(np.argsort(order)[codes], later[later >= 0])
        kept = evaluation.filter(pa.array(later >= 0))
        raw = pa.concat_arrays([part.column(query).combine_chunks() for part in (train, kept)])
        return dataclasses.replace(found, seen=Seen.of(raw, places, query))

    def write(self, folder: pathlib.Path) -> None:
        """Writes three Parquet files."""
        folder.mkdir(parents=True, exist_ok=True)
        seen = self.seen
        pq.write_table(self.items, folder / _ITEMS)
        pq.write_table(pa.table({"id": pa.array(self.ids, pa.string()), "rows": self.counts}), folder / _COUNTS)
        items = pa.LargeListArray.from_arrays(seen.splits, pa.array(seen.places))
        pq.write_table(pa.table({"query": seen.raw, "items": items}), folder / _SEEN)

    @classmethod
    def read(cls, folder: pathlib.Path) -> Self:
        """Reads what `write` wrote."""
        counts, seen = pq.read_table(folder / _COUNTS), pq.read_table(folder / _SEEN)
        raw, items = (seen.column(name).combine_chunks() for name in ("query", "items"))
        splits = np.asarray(items.offsets) if len(items) else np.zeros(1, np.int64)
        kept = Seen(raw, query_keys(raw, "query"), splits, np.asarray(items.flatten()))
        ids = counts.column("id").to_numpy(zero_copy_only=False)
        return cls(pq.read_table(folder / _ITEMS), ids, counts.column("rows").to_numpy(), kept)


def as_text(values: Any) -> np.ndarray:
    """Ids as they are answered: an array of numbers, text or bytes as text, [N] of object."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return np.asarray(array.cast(pa.string()).to_numpy(zero_copy_only=False), object)


def _table(batches: Iterator[pa.RecordBatch]) -> pa.Table:
    if not (found := list(batches)):
        raise InputError("split train has no rows. Give the pipeline more data, or change data.split.")
    return pa.Table.from_batches(found)


def _ids(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name).combine_chunks()
    if column.null_count:
        raise InputError(
            f"task_options.item: {column.null_count} of {len(column)} values of column {name!r} are missing, so those rows are "
            "of no item. Remove or complete them."
        )
    if pa.types.is_floating(column.type) or pa.types.is_nested(column.type):
        raise InputError(
            f"task_options.item: column {name!r} must hold text or whole numbers. Received: {column.type}. Mend schema.pbtxt."
        )
    return column


def _rows(batches: Iterator[pa.RecordBatch], wanted: np.ndarray) -> pa.Table:
    """Some rows of a split, in the order asked for, without holding the others."""
    order = np.argsort(wanted)
    rising, parts, start, schema = wanted[order], [], 0, None
    for batch in batches:
        schema = batch.schema
        low, high = np.searchsorted(rising, [start, start + batch.num_rows])
        if low < high:
            parts.append(batch.take(pa.array(rising[low:high] - start)))
        start += batch.num_rows
    return pa.Table.from_batches(parts, schema).take(pa.array(np.argsort(order)))
