"""Features of the segmentation workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf

SIZE = 64
WHITE = 255.0


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Pictures stay as they came.

    Args:
        inputs: `image`, string [N]: PNG.

    Returns:
        `image`, string [N].
    """
    return {"image": inputs["image"]}


def late_fn(features: dict[str, tf.Tensor], training: bool) -> dict[str, tf.Tensor]:
    """Decodes the pictures, grey ones of 64 x 64 pixels, and scales them to 0..1; one of another size is an error.

    Returns:
        `picture`, float32 [N, 64, 64, 1].
    """
    spec = tf.TensorSpec([SIZE, SIZE, 1], tf.uint8)
    pixels = tf.map_fn(lambda png: tf.io.decode_png(png, channels=1), features["image"], fn_output_signature=spec)
    return {"picture": tf.cast(pixels, tf.float32) / WHITE}
