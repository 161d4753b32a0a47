"""Linear methods beside the network: principal components, and the mean picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.decomposition import PCA


def pca_16(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """As many numbers a picture as the network's code has: principal components, and each picture's squared error, [N]."""
    return _pca(train, test, 16)


def pca_32(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Twice as many."""
    return _pca(train, test, 32)


def mean_picture(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """The same answer for every picture."""
    return _error(_pixels(test), _pixels(train).mean(axis=0))


def _pca(train: pa.Table, test: pa.Table, components: int) -> np.ndarray:
    pixels = _pixels(test)
    fitted = PCA(components, random_state=1).fit(_pixels(train))
    return _error(pixels, fitted.inverse_transform(fitted.transform(pixels)))


def _error(pixels: np.ndarray, again: np.ndarray) -> np.ndarray:
    error: np.ndarray = np.square(again - pixels).mean(axis=1)
    return error


def _pixels(rows: pa.Table) -> np.ndarray:
    """Scaled to 0..1, [N, 784]."""
    pictures = rows["image_bytes"].to_pylist()
    return np.frombuffer(b"".join(pictures), np.uint8).reshape(len(pictures), -1).astype(np.float32) / 255
