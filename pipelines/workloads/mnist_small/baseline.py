"""The network of dense layers, beside that of convolutions."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pyarrow as pa
from model import dense  # type: ignore[import-not-found]  # beside this file

_EPOCHS, _BATCH = 5, 128


def dense_layers(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """The network of dense layers, 109,000 weights, after five epochs."""
    keras.utils.set_random_seed(1)
    pictures = keras.Input((28, 28, 1))
    model = keras.Model(pictures, keras.layers.Dense(len(task.classes), activation="softmax")(dense(pictures)))
    model.compile("adam", "sparse_categorical_crossentropy")
    labels = task.read_labels(train["label"].combine_chunks(), "label")
    model.fit(_pixels(train), labels, batch_size=_BATCH, epochs=_EPOCHS, verbose=0)
    return np.asarray(model.predict(_pixels(test), batch_size=1024, verbose=0))


def _pixels(rows: pa.Table) -> np.ndarray:
    raw = b"".join(rows["image_bytes"].to_pylist())
    return np.frombuffer(raw, np.uint8).reshape(-1, 28, 28, 1).astype(np.float32) / 255
