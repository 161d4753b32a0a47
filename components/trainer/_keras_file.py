"""The model as Keras itself keeps it, for whoever goes on with it in Python."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from spec.words import one_line


def write(model: keras.Model, sample: Mapping[str, Any], path: pathlib.Path) -> str:
    """Writes `model.keras`, if what can be loaded from it is the same model.

    A model that Keras cannot write down is released all the same: its SavedModel is what serves and what another training begins
    with.

    Args:
        sample: features of a few rows, [n, ...].

    Returns:
        Why there is no such file; empty: there is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _uncompiled(model):
            model.save(path)
        with tf.device("CPU:0"):  # beside the model itself there may be no room elsewhere
            loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
            expected, found = (np.asarray(one(sample, training=False)) for one in (model, loaded))
        why = "" if np.allclose(expected, found, rtol=1e-3, atol=1e-5) else "what is loaded from it answers otherwise"
    except Exception as error:  # whatever a model's own get_config or from_config raises
        why = f"{type(error).__name__}: {one_line(error, 300)}"
    if why:
        path.unlink(missing_ok=True)
    return why


@contextlib.contextmanager
def _uncompiled(model: keras.Model) -> Iterator[None]:
    """The state of the optimizer is as large as the model or twice that, and a schedule or loss may not serialise."""
    if not model.compiled:
        yield
        return
    optimizer = model.optimizer
    model.compiled, model.optimizer = False, None
    try:
        yield
    finally:
        model.compiled, model.optimizer = True, optimizer
