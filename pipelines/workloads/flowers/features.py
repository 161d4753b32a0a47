"""Features of the flowers workload: what training sees is what serving sees."""

from __future__ import annotations

import tensorflow as tf

SIZE = 224
# What a photo is scaled to before a part of it is cut out for training.
LARGER = 248


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Photos stay as they came.

    Args:
        inputs: `image`, string [N]: JPEG or PNG, of any size.

    Returns:
        `image`, string [N].
    """
    return {"image": inputs["image"]}


def late_fn(features: dict[str, tf.Tensor], training: bool, seed: tf.Tensor) -> dict[str, tf.Tensor]:
    """Decodes and scales; for training each photo is cut a little smaller, and half of them are mirrored.

    Returns:
        `image`, float32 [N, 224, 224, 3], of 0 to 255.
    """
    encoded, size = features["image"], LARGER if training else SIZE
    images = tf.map_fn(
        lambda one: tf.image.resize(tf.io.decode_image(one, channels=3, expand_animations=False), [size, size]),
        encoded,
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.float32),
    )
    if training:
        images = tf.map_fn(
            lambda one: tf.image.stateless_random_crop(one[0], [SIZE, SIZE, 3], one[1]),
            (images, tf.random.split(seed, tf.shape(encoded)[0])),
            fn_output_signature=tf.TensorSpec([SIZE, SIZE, 3], tf.float32),
        )
        images = tf.image.stateless_random_flip_left_right(images, seed)
    return {"image": images}
