"""Features of the digits_gan workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf

DIGITS = 10


def preprocessing_fn(inputs: dict[str, tf.Tensor | tf.SparseTensor]) -> dict[str, tf.Tensor]:
    """The digit that is asked for, and the number that its picture is drawn by.

    Args:
        inputs: `digit`, int64 [N], 0 to 9; `seed`, int64, sparse: where a request gives none, chance does.

    Returns:
        `digit`, one-hot float32 [N, 10]; `seed`, int64 [N].
    """
    digit = tf.one_hot(inputs["digit"], DIGITS)
    given = tf.sparse.to_dense(inputs["seed"], default_value=-1)[:, 0]
    drawn = tf.random.uniform(tf.shape(given), maxval=2**31, dtype=tf.int64)
    return {"digit": digit, "seed": tf.where(given < 0, drawn, given)}
