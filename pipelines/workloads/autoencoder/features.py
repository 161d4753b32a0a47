"""Features of the autoencoder workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf

SIZE = 28 * 28
INK = 255.0  # the brightest pixel


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Unpacks bytes to pixels and scales them to 0..1.

    Args:
        inputs: `image_bytes`, string [N], 784 bytes each; a picture of another size is an error.

    Returns:
        `pixels`, float32 [N, 784].
    """
    pixels = tf.ensure_shape(tf.io.decode_raw(inputs["image_bytes"], tf.uint8), [None, SIZE])
    return {"pixels": tf.cast(pixels, tf.float32) / INK}
