"""What is seen in a photo without training on flowers, and what its colours alone say."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pyarrow as pa
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from squeezenet import squeezenet  # type: ignore[import-not-found]  # beside this file

from components.assets import asset_path

_SIZE, _SHADES = 224, 4


def frozen_features(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Logistic regression on what SqueezeNet sees, with ImageNet's weights as they are."""
    images = keras.Input((_SIZE, _SIZE, 3))
    net = keras.Model(images, squeezenet(images, asset_path("squeezenet")))

    def seen(rows: pa.Table) -> np.ndarray:
        photos = rows["image"].to_pylist()
        parts = [np.stack([_pixels(one) for one in photos[i : i + 32]]) for i in range(0, len(photos), 32)]
        return np.concatenate([np.asarray(net(part, training=False)) for part in parts])

    return _regression((seen(train), seen(test)), train, task)


def colours(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Logistic regression on how frequent each of 64 colours is."""
    found = [np.stack([_histogram(one) for one in rows["image"].to_pylist()]) for rows in (train, test)]
    return _regression(found, train, task)


def _regression(features: Sequence[np.ndarray], rows: pa.Table, task: Any) -> np.ndarray:
    """The classes' probabilities of the second part of the features, learnt from the first, whose rows have the labels."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    model.fit(features[0], task.read_labels(rows["label"].combine_chunks(), "label"))
    return model.predict_proba(features[1])


def _pixels(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB").resize((_SIZE, _SIZE)), np.float32)


def _histogram(encoded: bytes) -> np.ndarray:
    red, green, blue = (_pixels(encoded).reshape(-1, 3).astype(int) * _SHADES // 256).T
    return np.bincount((red * _SHADES + green) * _SHADES + blue, minlength=_SHADES**3) ** 0.5
