"""Features of the place_recommender workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_transform as tft


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Numbers users and places; those that train does not have share the last number.

    Args:
        inputs: `user` and `place`, int64 [N].

    Returns:
        The same as numbers from 0, int64 [N].
    """
    return {
        name: tft.compute_and_apply_vocabulary(column, num_oov_buckets=1, vocab_filename=name)
        for name, column in inputs.items()
    }
