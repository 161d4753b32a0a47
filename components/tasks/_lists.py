"""What a report shows of a retrieval: what a few queries are answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.tasks import _ranks
from components.tasks._columns import query_keys
from components.tasks._gallery import Gallery, ShownRows, Tile
from components.tasks._lazily import np, pa
from components.tasks.catalogue import Catalogue
from spec.words import one_line, some_of

_LISTS, _PICTURES, _NEIGHBOURS, _NAMED = 3, 8, 5, 10


def answered(
    rows: ShownRows,
    chosen: np.ndarray,
    truths: np.ndarray,
    places: np.ndarray,
    catalogue: Catalogue,
    columns: Sequence[str],
    query: str | None,
) -> Gallery:
    """Lists, beside what their queries have had.

    Args:
        rows: of test.
        chosen: which of them, one a query, [any].
        truths: the place of each row's item, [N]; below 0 where the catalogue lacks it.
        places: what is answered to each row, [N, top_k]; -1: nothing.
        columns: what a request carries.
        query: the column of those who have had something; None without one.
    """

    def tile(row: int) -> Tile:
        names = [name for name in columns if name in rows.batch.schema.names]
        lines = [", ".join(f"{name}: {rows.batch.column(name)[row].as_py()}" for name in names)]
        if query in rows.batch.schema.names:
            (known,) = catalogue.seen.rows(query_keys(rows.batch.column(query).slice(row, 1), str(query)))
            had = _words(rows, catalogue, catalogue.seen.of_row(int(known)))
            lines.append(f"had: {some_of(had, _NAMED) or 'nothing'}")
        truth, first = int(truths[row]), places[row][places[row] >= 0][: _ranks.TOP]
        lines.append("answered: " + "; ".join(_words(rows, catalogue, first)))
        lines.append("in test: " + (_words(rows, catalogue, [truth])[0] if truth >= 0 else "an item that train lacks"))
        return Tile((), lines, "good" if truth in first else "bad")

    tiles = [tile(row) for row in chosen[:_LISTS]]
    return Gallery("Answered to a few queries", tiles, "The first ten items of each. Chosen by chance.")


def neighbours(
    rows: ShownRows,
    chosen: np.ndarray,
    truths: np.ndarray,
    places: np.ndarray,
    catalogue: Catalogue,
    classes: Sequence[str],
    classes_of_items: np.ndarray,
) -> Gallery:
    """Rows with the items that are nearest to them.

    Args:
        rows: of test.
        chosen: which of them, [any].
        truths: the class of each row, [N].
        places: what is answered to each row, [N, top_k]; -1: nothing.
        classes_of_items: by place, [M].
    """

    def tile(row: int) -> Tile:
        first = places[row][places[row] >= 0][:_NEIGHBOURS]
        (items,) = catalogue.items.take(pa.array(first)).combine_chunks().to_batches() or [None]
        found = ShownRows(items, rows.pixels)
        shown = {f"{i + 1} {classes[classes_of_items[one]]}": found.picture(i) for i, one in enumerate(first)}
        right, name = classes_of_items[first] == truths[row], classes[int(truths[row])]
        lines = (name, f"{right.sum()} of the first {len(first)} are {name}")
        beside = {name: picture for name, picture in shown.items() if picture is not None}
        return rows.tile(row, *lines, mark="good" if right[:1].all() else "bad", **beside)

    caption = "A row of test, and what is nearest to it in train, the nearest first. Chosen by chance."
    return Gallery("Found for a few rows", [tile(row) for row in chosen[:_PICTURES]], caption)


def _words(rows: ShownRows, catalogue: Catalogue, places: Any) -> list[str]:
    """Items by what is said of them; columns that no page shows are left out."""
    columns = [name for name in catalogue.items.column_names if name in rows.batch.schema.names]
    found = catalogue.items.select(columns).take(pa.array(places, pa.int64())).to_pylist()
    said = [[str(value) for value in item.values() if not isinstance(value, bytes)] for item in found]
    return [one_line(" / ".join(values), 60) for values in said]
