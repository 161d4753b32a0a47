"""What `trainyard new` writes of a table of interactions: which column asks, which is answered, what is known of either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.tasks import _ranks
from components.tasks._drafts import Draft, Unlabelled, at_least, rows_of_test
from components.tasks._lazily import np, pa, pc
from spec.errors import InputError

_FEWEST = 20  # queries, and items
_MOST_EPOCHS = 20
_JUDGED = 2000  # queries that popularity is tried on


def draft(task: str, table: Unlabelled) -> Draft:
    """A retrieval's draft.

    Args:
        task: its name.

    Raises:
        InputError: it is not clear which columns are meant, or there is too little to choose from.
    """
    query, item = _query_and_item(table)
    rows = table.values.num_rows
    for option, name in (("--query", query), ("--item", item)):
        _insist_on_ids(table.values.column(name), f"{option} {name!r}")
    items = int(pc.count_distinct(table.values.column(item)).as_py())
    if items == rows:
        raise InputError(
            f"--item {item!r}: each row has its own, so no row of test is of an item that train has. Name what several queries had."
        )
    again = rows - table.values.select([query, item]).group_by([query, item]).aggregate([]).num_rows
    repeated = [f"{again:,} rows repeat the {query!r} and {item!r} of another: what train has already is not judged"]
    others = [name for name in table.values.column_names if name not in (query, item)]
    of_query = _told_by(table.values, query, others)
    of_item = _told_by(table.values, item, [name for name in others if name not in of_query])
    reached, chance = _popularity_reaches(table.values.column(query), table.values.column(item))
    return Draft(
        None,
        task,
        "",
        story=(
            f"{query!r} asks, {item!r} is answered (--query and --item change it)",
            f"Answering every {query!r} what is most frequent has an ndcg_10 of about {reached:.3f}",
            *(repeated if again else ()),
        ),
        trivial=f"Answering everyone what is most frequent has an ndcg_10 of about {reached:.3f}.",
        test_rows=rows_of_test(rows),
        bars=(at_least("ndcg_10", min(0.99, reached + 2 * chance)),),
        max_loss=float(f"{min(0.1, max(0.001, chance)):.2g}"),
        most_epochs=_MOST_EPOCHS,
        hyperparameters={"learning_rate": 0.004, "embedding_size": 64, "dropout": 0.2, "temperature": 0.1},
        purpose=f"Finds the {item} that a {query} may want next.",
        templates="retrieval",
        query=query,
        item=item,
        answers=100 if items >= 2 * 100 else _FEWEST,
        of_query=of_query,
        of_item=of_item,
        ignored={
            name: f"it depends neither on {query!r} nor on {item!r} alone; rows count alike, whatever it says"
            for name in others
            if name not in (*of_query, *of_item)
        },
    )


def _query_and_item(table: Unlabelled) -> tuple[str, str]:
    """The columns that were named; else the only two that there are, or that look like ids which rows share, in their order.

    Raises:
        InputError: it is not clear which they are, or a row lacks one.
    """
    rows, named = table.values, [name for name in (table.query, table.item) if name]
    found = list(named)
    if len(named) == 2 and named[0] == named[1]:
        raise InputError(f"--query and --item: are both {named[0]!r}. Name two columns.")
    if len(named) < 2 and rows.num_columns == 2:
        found = rows.column_names
    elif len(named) < 2:
        for name in [field.name for field in rows.schema if _may_be_id(rows.column(field.name))]:
            if name not in found and not any(_told_by(rows, earlier, [name]) for earlier in found):
                found.append(name)
    if len(found) != 2:
        raise InputError(
            "--query and --item: name the columns of who asks and of what is answered, such as a user and an artist. "
            f"Received: columns that could be: {', '.join(map(repr, found)) or 'none'}."
        )
    for name in found:
        if missing := rows.column(name).null_count:
            first = pc.index(rows.column(name).is_null(), True).as_py() + 1
            lack = "row has" if missing == 1 else "rows have"
            raise InputError(
                f"column {name!r} is an id, and {missing:,} {lack} no value there (the first is row {first}). Fill it, or take "
                "those rows out of the file."
            )
    query = table.query or next(name for name in found if name != table.item)
    return query, next(name for name in found if name != query)


def _may_be_id(values: Any) -> bool:
    """Whether it has many texts or whole numbers, which rows share."""
    return _is_id_type(values.type) and bool(_FEWEST <= pc.count_distinct(values).as_py() <= len(values) / 2)


def _is_id_type(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _insist_on_ids(values: pa.ChunkedArray, what: str) -> None:
    if not _is_id_type(values.type):
        raise InputError(f"{what}: ids are texts or whole numbers. Received: {values.type}.")
    if (found := pc.count_distinct(values).as_py()) < _FEWEST:
        raise InputError(
            f"{what}: has {found} different value{'s' * (found != 1)}; {_FEWEST} are the least to learn from."
        )


def _told_by(rows: pa.Table, key: str, names: Sequence[str]) -> tuple[str, ...]:
    """Columns that have one value for each value of the key."""
    flat = [name for name in names if not pa.types.is_nested(rows.schema.field(name).type)]
    keys = rows.column(key).combine_chunks().dictionary_encode().indices
    told = []
    for name in flat:
        values = rows.column(name).combine_chunks().dictionary_encode(null_encoding="encode").indices
        pairs = pa.table({"key": keys, "value": values}).group_by(["key", "value"]).aggregate([])
        if pairs.num_rows == pc.count_distinct(keys).as_py():
            told.append(name)
    return tuple(told)


def _popularity_reaches(query: Any, item: Any) -> tuple[float, float]:
    """The ndcg_10 of answering what is most frequent and was not had already, tried on a fifth of the rows; and its standard error."""
    queries, items = (one.combine_chunks().dictionary_encode().indices.to_numpy() for one in (query, item))
    is_test = np.random.default_rng(1).random(len(queries)) < 0.2
    frequent = np.argsort(-np.bincount(items[~is_test], minlength=items.max() + 1), kind="stable")
    order = np.argsort(queries, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(queries[order])) + 1)
    discounts, found = 1 / np.log2(np.arange(_ranks.TOP) + 2), []
    for rows in groups[:: max(1, len(groups) // _JUDGED)]:
        had, wanted = set(items[rows][~is_test[rows]]), set(items[rows][is_test[rows]])
        if wanted := wanted - had:
            shown = [one for one in frequent[: len(had) + _ranks.TOP] if one not in had][: _ranks.TOP]
            hits = np.isin(shown, list(wanted))
            found.append(discounts[: len(hits)][hits].sum() / discounts[: len(wanted)].sum())
    return (float(np.mean(found)), float(np.std(found) / np.sqrt(len(groups)))) if found else (0.0, 0.0)
