"""SqueezeNet 1.1 without its head (Iandola et al. 2016), as constants of a graph: nothing here learns."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import h5py  # type: ignore[import-untyped]
import numpy as np
import tensorflow as tf

FEATURES = 512
_FIRES = range(2, 10)
_POOLED_AFTER = (3, 5)
# Of ImageNet's photos, as the weights were trained: blue, green, red.
_MEAN_COLOUR = (103.939, 116.779, 123.68)


def squeezenet(weights: pathlib.Path) -> Callable[[tf.Tensor], tf.Tensor]:
    """Reads ImageNet's weights, HDF5 as Keras 2 wrote it.

    Returns:
        A function: an encoded photo, string [] of at least 40 x 40 pixels -> what is seen in it on the whole, float32 [512].
    """
    layers = _read(weights)

    def describe(encoded: tf.Tensor) -> tf.Tensor:
        photo = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        seen = tf.reduce_mean(_features(tf.cast(photo, tf.float32)[tf.newaxis], layers), axis=(0, 1, 2))
        return tf.ensure_shape(seen, [FEATURES])

    return describe


def _read(weights: pathlib.Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Kernel and bias by layer."""
    found = {}
    with h5py.File(weights) as file:
        for layer in (name.decode() for name in file.attrs["layer_names"]):
            if names := list(file[layer].attrs["weight_names"]):
                kernel, bias = (file[layer][name][()] for name in names)
                found[layer] = kernel, bias
    return found


def _features(photos: tf.Tensor, layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> tf.Tensor:
    """RGB of 0 to 255, [N, H, W, 3] -> [N, about H / 16, about W / 16, 512]."""

    def convolution(x: tf.Tensor, layer: str, stride: int = 1, padding: str = "SAME") -> tf.Tensor:
        kernel, bias = layers[layer]
        return tf.nn.relu(tf.nn.conv2d(x, kernel, stride, padding) + bias)

    x = convolution(photos[..., ::-1] - _MEAN_COLOUR, "conv1", stride=2, padding="VALID")
    x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    for fire in _FIRES:
        squeezed = convolution(x, f"fire{fire}/squeeze1x1")
        x = tf.concat([convolution(squeezed, f"fire{fire}/expand{size}") for size in ("1x1", "3x3")], axis=-1)
        if fire in _POOLED_AFTER:
            x = tf.nn.max_pool2d(x, 3, 2, "VALID")
    return x
