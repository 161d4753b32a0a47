"""Features of the mnist_small workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf

SIZE = 28
INK = 255.0  # the brightest pixel


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Pictures stay a byte a pixel.

    Args:
        inputs: `image_bytes`, string [N].

    Returns:
        `picture`, string [N].
    """
    return {"picture": inputs["image_bytes"]}


def late_fn(features: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
    """Unpacks bytes to pixels and scales them to 0..1; a picture of another size is an error.

    Returns:
        `picture`, float32 [N, 28, 28, 1].
    """
    pixels = tf.ensure_shape(tf.io.decode_raw(features["picture"], tf.uint8), [None, SIZE * SIZE])
    return {"picture": tf.reshape(tf.cast(pixels, tf.float32) / INK, [-1, SIZE, SIZE, 1])}
