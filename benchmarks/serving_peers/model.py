"""The SavedModel as the peers ask it: TensorFlow, and no code of Trainyard.

Runs in the peers' own environment. Every server here takes TF Serving's row form, `{"instances": [{input: value}]}`, and answers
`{"predictions": [{output: value}]}`.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from benchmarks.serving_peers import FOLDER, THREADS


class Model:
    """A loaded SavedModel."""

    def __init__(self) -> None:
        threads = int(os.environ[THREADS])
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self._root = tf.saved_model.load(str(pathlib.Path(os.environ[FOLDER])))
        self._call = self._root.signatures["serving_default"]
        self._types = {name: spec.dtype for name, spec in self._call.structured_input_signature[1].items()}

    def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to rows, a dictionary each."""
        columns = {name: tf.constant([row[name] for row in rows], dtype) for name, dtype in self._types.items()}
        answers = {name: _plain(value.numpy()) for name, value in self._call(**columns).items()}
        return [dict(zip(answers, row, strict=True)) for row in zip(*answers.values(), strict=True)]


def _plain(values: np.ndarray) -> list[Any]:
    found = values.tolist()
    return [one.decode() if isinstance(one, bytes) else one for one in found]
