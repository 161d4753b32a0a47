"""The catalogue inside of the SavedModel: exact search for the nearest items, and the best of some; the seen ones left out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from components.tasks._stock import Stock
from components.tasks.catalogue import as_text

# So many scores are in memory at a time, however large a batch of requests is: 128 MB.
_MOST_SCORES = 2**25
_NOTHING = float(np.finfo(np.float32).min)
"""The score of a place of the answer for which there is no item."""


class Shelf(tf.Module):
    """The items' embeddings, and who has had which.

    Args:
        stock: the items.
    """

    def __init__(self, stock: Stock) -> None:
        super().__init__()
        seen = stock.catalogue.seen
        # Variables, not constants: a graph's constants end at 2 GB, and are read before the first answer.
        self._embeddings = tf.Variable(stock.embeddings, trainable=False, dtype=tf.float32, name="embeddings")
        self._ids = _texts(stock.catalogue.ids)
        self._labels = None if stock.labels is None else _texts(as_text(stock.labels))
        self._splits = tf.Variable(seen.splits, trainable=False, dtype=tf.int64, name="splits")
        self._places = tf.Variable(seen.places, trainable=False, dtype=tf.int64, name="places")
        self._items = _places_of(stock.catalogue.ids)
        self._queries = _places_of(as_text(seen.raw))

    @property
    def dimensions(self) -> int:
        """Of an embedding."""
        return int(self._embeddings.shape[1])

    def answer(self, queries: tf.Tensor, count: int, left_out: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        """The nearest items, the nearest first.

        Args:
            queries: embeddings, [N, d].
            count: how many items; where fewer are left, the last are "" with the least score there is.
            left_out: places of items that are not answered, [N, any].

        Returns:
            `items` [N, count], `scores` [N, count], and `labels` [N, count] where items have some.
        """
        return self._named(*self._nearest(queries, count, left_out))

    def best_of(
        self, queries: tf.Tensor, candidates: tf.Tensor, count: int, left_out: tf.RaggedTensor
    ) -> dict[str, tf.Tensor]:
        """The nearest ones of some items, as `answer` has them.

        Args:
            candidates: their places, each once in a row; -1: none, [N, any] of int64.
            left_out: rising in each row.

        Returns:
            Also `complete` [N]: whether there are `count` of them, or all items that are not left out.
        """
        items = self._embeddings.shape[0]
        places = tf.maximum(candidates, 0)
        scores = tf.einsum("nd,ncd->nc", queries, tf.gather(self._embeddings, places))
        # Row and place as one number, which rises through all that is left out.
        gone = left_out.value_rowids() * items + left_out.flat_values
        wanted = tf.range(tf.shape(places, tf.int64)[0])[:, tf.newaxis] * items + places
        at = tf.searchsorted(gone, tf.reshape(wanted, [-1]))
        is_gone = tf.reshape(tf.gather(tf.concat([gone, [-1]], 0), at), tf.shape(wanted)) == wanted
        scores = tf.where(is_gone | (candidates < 0), _NOTHING, scores)
        room = [[0, 0], [0, tf.maximum(count - tf.shape(scores)[1], 0)]]
        scores, first = tf.math.top_k(tf.pad(scores, room, constant_values=_NOTHING), count)
        places = tf.gather(tf.pad(places, room), first, batch_dims=1)
        found = tf.reduce_sum(tf.cast(scores > _NOTHING, tf.int64), axis=1)
        complete = found >= tf.minimum(tf.constant(count, tf.int64), items - left_out.row_lengths())
        return self._named(scores, places) | {"complete": complete}

    def _named(self, scores: tf.Tensor, places: tf.Tensor) -> dict[str, tf.Tensor]:
        is_item = scores > _NOTHING
        found = {"items": tf.where(is_item, tf.gather(self._ids, places), ""), "scores": scores}
        if self._labels is not None:
            found["labels"] = tf.where(is_item, tf.gather(self._labels, places), "")
        return found

    def seen(self, queries: tf.Tensor) -> tf.RaggedTensor:
        """What queries have had, as places, [N, any]: nothing of those that are not known."""
        rows = self._queries.lookup(_text(queries))
        known = tf.maximum(rows, 0)
        first = tf.gather(self._splits, known)
        count = tf.where(
            rows >= 0, tf.gather(self._splits, tf.minimum(known + 1, tf.size(self._splits, tf.int64) - 1)) - first, 0
        )
        return tf.gather(self._places, tf.ragged.range(first, first + count))

    def itself(self, items: tf.Tensor) -> tf.RaggedTensor:
        """The places of items by their ids, [N, 1 or 0]."""
        places = self._items.lookup(_text(items))
        return tf.RaggedTensor.from_tensor(places[:, tf.newaxis], padding=-1)

    def nothing(self, queries: tf.Tensor) -> tf.RaggedTensor:
        """No place at all, [N, 0]."""
        return tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int64), tf.zeros_like(queries[:, 0], tf.int64))

    def _nearest(self, queries: tf.Tensor, count: int, left_out: tf.RaggedTensor) -> tuple[tf.Tensor, tf.Tensor]:
        items = self._embeddings.shape[0]
        rows, most = max(1, _MOST_SCORES // items), min(count, items)
        starts = tf.range(0, tf.maximum(tf.shape(queries)[0], 1), rows)  # once, too, for no query at all

        def part(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            scores = tf.matmul(queries[start : start + rows], self._embeddings, transpose_b=True)
            gone = left_out[start : start + rows]
            where = tf.stack([gone.value_rowids(), gone.flat_values], axis=1)
            scores = tf.tensor_scatter_nd_update(scores, where, tf.fill(tf.shape(where)[:1], _NOTHING))
            scores, places = tf.math.top_k(scores, most)
            room = [[0, 0], [0, count - most]]
            return tf.pad(scores, room, constant_values=_NOTHING), tf.pad(places, room)

        def body(number: tf.Tensor, *kept: tf.TensorArray) -> tuple[tf.Tensor, ...]:
            return number + 1, *(one.write(number, new) for one, new in zip(kept, part(starts[number]), strict=True))

        parts = tf.size(starts)
        kept = [
            tf.TensorArray(kind, parts, infer_shape=False, element_shape=[None, count])
            for kind in (tf.float32, tf.int32)
        ]
        _, scores, places = tf.while_loop(lambda n, *_: n < parts, body, (0, *kept), parallel_iterations=1)
        return scores.concat(), places.concat()


def _texts(values: np.ndarray) -> tf.Variable:
    return tf.Variable(tf.constant([v.encode() for v in values], tf.string), trainable=False)


def _text(values: tf.Tensor) -> tf.Tensor:
    return values if values.dtype == tf.string else tf.strings.as_string(values)


def _places_of(ids: np.ndarray) -> tf.lookup.StaticHashTable:
    keys, places = [one.encode() for one in ids], range(len(ids))
    # TensorFlow fills no table with nothing, and no id is empty.
    filled = tf.lookup.KeyValueTensorInitializer(
        tf.constant(keys or [b""], tf.string), tf.constant([*places] or [-1], tf.int64)
    )
    return tf.lookup.StaticHashTable(filled, -1)
