"""Building, checking, compiling and fitting a workload's model."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components import user_code
from components.errors import InputError
from components.served_model import NUMERIC
from components.trainer._config import TrainingConfig
from components.trainer._input import Split
from components.trainer._schema import ModelSchema

_EVAL_BATCH = 1024
# Steps between two visits to Python. On a small model it saves 1.3 ms of CPU a step, and building the loop costs 0.4 s, so that
# a short training is better off without. Callbacks that look at batches see every so manieth; ours look at epochs, and a loss
# that is not a number stays so.
_STEPS_PER_EXECUTION, _WORTH_A_LOOP = 32, 400

_LOSS = {
    "binary": "binary_crossentropy",
    "multiclass": "sparse_categorical_crossentropy",
    "regression": "mse",
    "ranking": "mse",
}


def build(module_file: str, schema: ModelSchema, config: TrainingConfig, rows: int) -> keras.Model:
    """Calls `build_model` and compiles what it returns, unless it is compiled already.

    Raises:
        InputError: build_model raises, or returns something that does not fit the task.
    """
    build_model: Callable[..., Any] = user_code.load_function(module_file, "build_model")
    # For schedules: a model may need to know how many steps there will be.
    steps = {"steps_per_epoch": -(-rows // config.batch_size), "epochs": config.epochs}
    with user_code.blame(module_file):
        model = build_model(schema, {**config.hyperparameters, **steps})
    _check(model, schema, module_file)
    if not model.compiled:
        metrics = [] if schema.task in NUMERIC else ["accuracy"]
        if schema.task == "binary":
            metrics.append(keras.metrics.AUC(name="auc"))
        learning_rate = float(config.hyperparameters.get("learning_rate", 1e-3))
        loss: Any = _LOSS[schema.task]
        if schema.task in NUMERIC:
            loss = _ScaledError(schema.label_std)
            metrics.append(keras.metrics.RootMeanSquaredError(name="rmse"))
        model.compile(
            optimizer=keras.optimizers.Adam(learning_rate),
            loss=loss,
            metrics=metrics,
            steps_per_execution=_steps_per_execution(steps["steps_per_epoch"] * steps["epochs"]),
        )
    return model


def fit(
    model: keras.Model, train: Split, evaluation: Split, config: TrainingConfig, logs: pathlib.Path
) -> dict[str, Any]:
    """Fits and keeps the best weights by eval loss.

    Returns:
        What goes into history.json: epochs, history by metric, best_epoch, seconds, parameters, hyperparameters.
    """
    best = _BestWeights()
    callbacks: list[Any] = [
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.TensorBoard(str(logs), write_graph=False),
        best,
        # The shuffle of an epoch follows from its number.
        keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: setattr(train, "epoch", epoch)),
    ]
    if config.early_stopping_patience is not None:
        callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=config.early_stopping_patience))
    started = time.monotonic()
    history = model.fit(
        train.dataset(config.batch_size, config.seed),
        validation_data=evaluation.dataset(max(_EVAL_BATCH, config.batch_size)),
        epochs=config.epochs,
        shuffle=False,  # the dataset is
        callbacks=callbacks,
        verbose=2,
    )
    values = {name: [float(v) for v in series] for name, series in history.history.items()}
    if not np.isfinite(values["loss"]).all():
        raise InputError(
            f"training diverged: the loss became {values['loss'][-1]} in epoch {len(values['loss'])}. "
            "Lower training.hyperparameters.learning_rate, or scale the features in features.py."
        )
    best.restore(model)
    return {
        "epochs": list(range(1, len(values["loss"]) + 1)),
        "history": values,
        "best_epoch": best.epoch + 1,
        "seconds": round(time.monotonic() - started, 3),
        "parameters": int(model.count_params()),
        "hyperparameters": {**config.hyperparameters, "batch_size": config.batch_size, "seed": config.seed},
    }


def _steps_per_execution(steps: int) -> int:
    # Keras 3.15 loses a placeholder where a strategy's replicas update weights inside its loop.
    if steps < _WORTH_A_LOOP or tf.distribute.has_strategy():
        return 1
    return _STEPS_PER_EXECUTION


def _check(model: Any, schema: ModelSchema, module_file: str) -> None:
    if not isinstance(model, keras.Model):
        raise InputError(f"{module_file}: build_model must return a keras.Model. Received: {type(model).__name__}.")
    width = len(schema.classes) if schema.task == "multiclass" else 1
    try:
        sample = {
            name: np.full(
                (2, *f.shape), "" if f.dtype == "string" else 0, dtype=object if f.dtype == "string" else f.dtype
            )
            for name, f in schema.features.items()
        }
        output = np.asarray(model(sample, training=False))
    except Exception as error:
        inputs = ", ".join(f"{n} {f.dtype}{list(f.shape)}" for n, f in schema.features.items())
        raise InputError(
            f"{module_file}: the model does not take the features of features.py ({inputs}): "
            f"{user_code.explain(error, module_file)[:300]}"
        ) from error
    if output.shape != (2, width):
        raise InputError(
            f"{module_file}: task {schema.task} needs an output of shape [N, {width}]. Received: [N, "
            f"{', '.join(str(d) for d in output.shape[1:])}]. End build_model with schema.outputs(x)."
        )
    if schema.task not in NUMERIC and not ((output >= 0) & (output <= 1)).all():
        raise InputError(
            f"{module_file}: task {schema.task} needs probabilities between 0 and 1. Received values from {output.min():.3g} "
            f"to {output.max():.3g}. End build_model with schema.outputs(x), or a sigmoid or softmax."
        )


class _BestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the least eval loss, also when training ends by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch, self._loss, self._weights = 0, np.inf, None

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {}).get("val_loss", np.inf)
        if loss < self._loss:
            self.epoch, self._loss, self._weights = epoch, loss, self.model.get_weights()

    def restore(self, model: keras.Model) -> None:
        if self._weights is not None:
            model.set_weights(self._weights)


class _ScaledError(keras.losses.Loss):
    """Squared error in the label's standard deviations, so that one learning rate suits prices and probabilities alike."""

    def __init__(self, scale: float) -> None:
        super().__init__(name="scaled_mse")
        self._scale = scale or 1.0

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # The label is [N] and the output [N, 1]: left as they are they would broadcast to [N, N].
        label = keras.ops.reshape(keras.ops.cast(y_true, y_pred.dtype), keras.ops.shape(y_pred))
        error = (label - y_pred) / self._scale
        return keras.ops.mean(keras.ops.square(error), axis=-1)
