"""What the drafted network makes of columns that tell nothing."""

from __future__ import annotations

import pathlib

import keras
import numpy as np

from components import user_code
from components.tasks import Feature
from components.trainer import ModelSchema
from pipelines.scaffold import templates


def test_columns_of_noise_fade_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "model.py"
    path.write_text(templates._fill("model.py.txt", PREFIX=""))
    build_model = user_code.load_function(str(path), "build_model")

    keras.utils.set_random_seed(1)
    numbers = np.random.default_rng(1).normal(size=(400, 6)).astype(np.float32)
    label = (numbers[:, 0] > 0).astype(np.float32)
    schema = ModelSchema({"numbers": Feature("numbers", "float32", (6,))}, "binary", "y", ("no", "yes"))
    hyperparameters = {"hidden_units": 16, "embedding_size": 4, "dropout": 0.0, "column_penalty": 0.01}
    model = build_model(schema, hyperparameters)
    model.compile(keras.optimizers.Adam(0.01), "binary_crossentropy")
    model.fit({"numbers": numbers}, label, epochs=15, batch_size=32, verbose=0)

    (weights,) = (abs(layer.kernel.numpy()) for layer in model.layers if getattr(layer, "kernel_regularizer", None))
    assert weights[0] > 2 * weights[1:].max(), weights
