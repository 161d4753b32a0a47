"""Features of the cifar10 workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf

SIZE = 32
# How far a picture is moved for training, in pixels.
SHIFT = 4


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Pictures stay as they came.

    Args:
        inputs: `image`, string [N]: JPEG or PNG, of any size.

    Returns:
        `image`, string [N].
    """
    return {"image": inputs["image"]}


def late_fn(features: dict[str, tf.Tensor], training: bool, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """Decodes and scales; for training each picture is moved a little, and half of them are mirrored.

    Returns:
        `image`, float32 [N, 32, 32, 3], of -1 to 1.
    """
    encoded = features["image"]
    images = tf.map_fn(
        lambda one: tf.image.resize(tf.io.decode_image(one, channels=3, expand_animations=False), [SIZE, SIZE]),
        encoded,
        fn_output_signature=tf.TensorSpec([SIZE, SIZE, 3], tf.float32),
    )
    images = images / 127.5 - 1
    if training:
        images = tf.image.stateless_random_flip_left_right(_moved(images, seed), seed)
    return {"image": images}


def _moved(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Each by a shift of its own; what comes in at an edge is the picture mirrored."""
    edge = [SHIFT, SHIFT]
    wide = tf.pad(images, [[0, 0], edge, edge, [0, 0]], "REFLECT")
    places = tf.random.stateless_uniform([tf.shape(images)[0], 2], seed, 0, 2 * SHIFT + 1, tf.int32)
    steps = tf.range(SIZE)
    rows = tf.gather(wide, places[:, :1] + steps, axis=1, batch_dims=1)
    return tf.gather(rows, places[:, 1:] + steps, axis=2, batch_dims=1)
