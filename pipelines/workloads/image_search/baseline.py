"""Simpler descriptions of photos beside the learnt space; both search by cosine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from squeezenet import squeezenet  # type: ignore[import-not-found]  # beside this file

from components.assets import asset_path

_SHADES = 4


def raw_features(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """SqueezeNet's features as they are."""
    describe = tf.function(squeezenet(asset_path("squeezenet")), [tf.TensorSpec([], tf.string)], autograph=False)
    return _nearest(train, test, task, lambda photo: describe(photo).numpy())


def colours(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """How frequent each of 64 colours is."""
    return _nearest(train, test, task, _histogram)


def _histogram(encoded: bytes) -> np.ndarray:
    pixels = tf.io.decode_image(encoded, channels=3).numpy().reshape(-1, 3).astype(int)
    red, green, blue = (pixels * _SHADES // 256).T
    counts: np.ndarray = np.bincount((red * _SHADES + green) * _SHADES + blue, minlength=_SHADES**3)
    return counts


def _nearest(train: pa.Table, test: pa.Table, task: Any, describe: Callable[[bytes], np.ndarray]) -> np.ndarray:
    """The numbers of the rows of train that are most alike, [N, top_k]."""
    items, queries = (np.stack([describe(photo) for photo in rows["image"].to_pylist()]) for rows in (train, test))
    items, queries = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (items, queries))
    return np.argsort(-queries @ items.T, axis=1, kind="stable")[:, : task.options.top_k]
