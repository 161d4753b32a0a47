"""What a served retrieval is asked besides `serving_default`, and what its graph needs of raw columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.tasks._retrieval_options import RetrievalOptions
from components.tasks._signatures import Signature

if TYPE_CHECKING:
    from components.tasks._shelf import Shelf

_RAW = "raw "


def signatures(model: Any, options: RetrievalOptions, shelf: Shelf, query: str | None) -> dict[str, Signature]:
    """By name.

    `query_embedding`, `item_embedding`: where the towers put them. `rank_candidates`: of items that an index found for a query's
    embedding, those that are answered. `similar_items`: an item, be it new, to the items that are like it. `score`: a query and
    an item to their similarity. Where items are searched by items, `serving_default` answers the last three.

    Args:
        model: its towers.
        query: the column of those who are not answered what they have had; None: there is none.
    """
    import tensorflow as tf

    queries, items, top_k = options.query_columns, options.item_columns, options.top_k

    def ranked(given: Mapping[str, Any]) -> dict[str, Any]:
        vectors = given["embedding"]
        return dict(shelf.best_of(vectors, given["candidates"], top_k, left_out(shelf, query, vectors, given)))

    def similar(features: Mapping[str, Any]) -> dict[str, Any]:
        itself = shelf.itself(features[_RAW + str(options.item)])
        return dict(shelf.answer(embedding(model.items(features)), top_k, itself))

    def score(features: Mapping[str, Any]) -> dict[str, Any]:
        return {"score": tf.reduce_sum(model.queries(features) * model.items(features), axis=1)}

    tensors = {
        "embedding": tf.TensorSpec([None, shelf.dimensions], tf.float32),
        "candidates": tf.TensorSpec([None, None], tf.int64),
    }
    found = {
        "query_embedding": Signature(lambda given: {"embedding": embedding(model.queries(given))}, queries),
        "rank_candidates": Signature(ranked, [query] if query else [], tensors),
    }
    if set(queries) & set(items):
        return found
    return {
        **found,
        "item_embedding": Signature(lambda given: {"embedding": embedding(model.items(given))}, items),
        "similar_items": Signature(similar, items),
        "score": Signature(score, (*queries, *items)),
    }


def left_out(shelf: Shelf, query: str | None, vectors: Any, given: Mapping[str, Any]) -> Any:
    """The places of what each query, whose embeddings are [N, d], has had; given are `ids` of its columns."""
    return shelf.seen(given[_RAW + query]) if query else shelf.nothing(vectors)


def ids(raw: Mapping[str, Any], *columns: str | None) -> dict[str, Any]:
    """Those of some columns that are among the raw ones, [N] each, by names that no feature has."""
    return {_RAW + name: _ids(raw[name]) for name in columns if name and name in raw}


def embedding(vectors: Any) -> Any:
    """As float32, whatever the model computes with."""
    import tensorflow as tf

    return tf.cast(vectors, tf.float32)


def _ids(column: Any) -> Any:
    """A raw column of ids, [N]; where one is missing, what no id is."""
    import tensorflow as tf

    if not isinstance(column, tf.SparseTensor):
        return column
    text = column if column.dtype == tf.string else tf.sparse.map_values(tf.strings.as_string, column)
    return tf.reshape(tf.sparse.to_dense(tf.sparse.reset_shape(text, [tf.shape(text, tf.int64)[0], 1])), [-1])
