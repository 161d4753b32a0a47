"""Simpler descriptions of photos beside the learnt space; both search by cosine."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
from PIL import Image
from squeezenet import squeezenet  # type: ignore[import-not-found]  # beside this file

from components.assets import asset_path

_SHADES = 4


def raw_features(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """SqueezeNet's features as they are."""
    describe = squeezenet(asset_path("squeezenet"))
    items, queries = (describe(tf.constant(rows["image"].to_pylist())).numpy() for rows in (train, test))
    return _nearest(items, queries, task)


def colours(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """How frequent each of 64 colours is."""
    items, queries = (np.stack([_histogram(one) for one in rows["image"].to_pylist()]) for rows in (train, test))
    return _nearest(items, queries, task)


def _histogram(encoded: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB")).reshape(-1, 3).astype(int)
    red, green, blue = (pixels * _SHADES // 256).T
    return np.bincount((red * _SHADES + green) * _SHADES + blue, minlength=_SHADES**3).astype(np.float32)


def _nearest(items: np.ndarray, queries: np.ndarray, task: Any) -> np.ndarray:
    """The numbers of the rows of train that are most alike, [N, top_k]."""
    items, queries = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (items, queries))
    return np.argsort(-queries @ items.T, axis=1, kind="stable")[:, : task.options.top_k]
