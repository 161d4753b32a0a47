"""Building, checking, compiling and fitting a workload's model."""

from __future__ import annotations

import functools
import pathlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components import user_code
from components.progress import tell
from components.tasks import ModelSchema
from components.trainer import _privacy, _replicas
from components.trainer._checkpoints import Checkpoints
from components.trainer._config import TrainingConfig
from components.trainer._devices import Devices
from components.trainer._input import Split, Weights
from components.trainer._progress import Progress
from components.trainer._sketches import Sketches
from spec.errors import InputError
from spec.workload import DEFAULT_LEARNING_RATE, LEARNING_RATE

_EVAL_BATCH = 1024
# Steps between two visits to Python. On a small model it saves 1.3 ms of CPU a step, and building the loop costs 0.4 s, so that
# a short training is better off without. Callbacks that look at batches are called once for so many of them; ours look at
# epochs, and a loss that is not a number stays so.
_STEPS_PER_EXECUTION, _WORTH_A_LOOP = 32, 400


def build(
    module_file: str,
    schema: ModelSchema,
    config: TrainingConfig,
    rows: int,
    digest: str = "",
    begin: Callable[[keras.Model], Mapping[str, float]] = lambda model: {},
    teach: Callable[[keras.Model], keras.Model] | None = None,
) -> keras.Model:
    """Calls `build_model` and compiles what it returns, unless it is compiled already.

    Args:
        digest: of model.py's folder, in the cache's key; empty: whatever it is.
        begin: gives the new model its first weights, and says by a weight's path which part of the learning rate it learns at.
        teach: makes what is trained of the new model, where a teacher teaches it.

    Raises:
        InputError: build_model raises, or returns something that does not fit the task.
    """
    build_model: Callable[..., Any] = user_code.load_function(module_file, "build_model", digest)
    # For schedules: a model may need to know how many steps there will be.
    steps = {"steps_per_epoch": config.steps_per_epoch(rows), "epochs": config.epochs}
    in_all = steps["steps_per_epoch"] * steps["epochs"]
    with user_code.calling(module_file, digest):
        model = build_model(schema, {**config.hyperparameters, **steps})
    _check(model, schema, module_file)
    parts = begin(model)
    if parts and model.compiled:
        raise InputError(
            f"training.learning_rates: {module_file}: build_model compiles the model itself, with an optimizer of its own. Remove "
            "the one or the other."
        )
    if teach is not None:
        model = teach(model)
    if not model.compiled:
        model.compile(
            optimizer=_optimizers(config, in_all, parts),
            loss=schema.kind.loss(schema),
            metrics=schema.kind.training_metrics(),
            steps_per_execution=_STEPS_PER_EXECUTION if in_all >= _WORTH_A_LOOP else 1,
            jit_compile=_jit_compile(config, schema),
        )
        if config.jit_compile is True and not model.jit_compile:  # Keras warns, and goes on without
            layers = ", ".join(layer.name for layer in model.layers if not layer.supports_jit)
            raise InputError(f"training.jit_compile: XLA cannot compile this model (layers {layers}). Set it to false.")
    if config.privacy:
        _privacy.private(model, config)
    if tf.distribute.has_strategy():
        # Here and by every worker: a variable made elsewhere is not shared, and a worker that makes one waits for the others.
        model.optimizer.build(model.trainable_variables)
    return model


def _optimizers(config: TrainingConfig, steps: int, parts: Mapping[str, float]) -> keras.optimizers.Optimizer:
    """One optimizer, or one for each part of the learning rate, by a weight's path."""
    if not parts:
        return _optimizer(config, steps)
    each = {part: _optimizer(config, steps, part) for part in {1.0, *parts.values()}}
    return keras.optimizers.MultiOptimizer(lambda variable: each[parts.get(variable.path, 1.0)])


def _optimizer(config: TrainingConfig, steps: int, part: float = 1.0) -> keras.optimizers.Optimizer:
    rate: Any = part * float(config.hyperparameters.get(LEARNING_RATE, DEFAULT_LEARNING_RATE))
    if config.learning_rate_schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01)
    name = "adam" if part == 1 else f"adam_{part:g}"
    if not config.weight_decay:
        return keras.optimizers.Adam(rate, name=name)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, name=name)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def rebuilt(
    model: keras.Model, module_file: str, schema: ModelSchema, config: TrainingConfig, rows: int, digest: str = ""
) -> keras.Model:
    """The same model in float32 on one device, with the same weights: what is served knows nothing of how it was trained."""
    plain = build(module_file, schema, config, rows, digest)
    plain.set_weights(model.get_weights())
    return plain


def fit(
    model: keras.Model,
    train: Split,
    evaluation: Split,
    config: TrainingConfig,
    logs: pathlib.Path | None,
    devices: Devices = Devices("none", ("CPU:0",)),  # noqa: B008 frozen
    checkpoints: Checkpoints | None = None,
    weights: Weights | None = None,
    sketches: Sketches | None = None,
    after_epoch: Callable[[Progress], None] | None = None,
) -> dict[str, Any]:
    """Fits, from the last checkpoint on if there is one, and keeps the weights that `training.keep_weights` says.

    Args:
        model: built in the scope of `devices`.
        logs: TensorBoard's folder; None: it is told nothing.
        checkpoints: where the state of each epoch is kept; None: nowhere.
        weights: what a row counts in the loss, of train and of eval, by class [classes]; None: all the same.
        sketches: draws what the model makes after some epochs; None: nothing is drawn.
        after_epoch: told after each, once its checkpoint is written; what it raises ends the training.

    Returns:
        What goes into history.json (docs/guides/training.md).

    Raises:
        InputError: the loss is no number, or XLA cannot compile the model.
    """
    started = time.monotonic()
    agree = functools.partial(_replicas.check_alike, devices.strategy)
    progress = checkpoints.restore(model, agree) if checkpoints else Progress()
    if sketches:
        sketches.drawn = progress.drawn  # a checkpoint has those before it
    seconds_before = sum(progress.seconds)
    callbacks = [
        keras.callbacks.TerminateOnNaN(),
        _Keeper(train, progress, config, checkpoints, devices.is_chief, sketches, after_epoch),
    ]
    if logs and devices.is_chief:
        callbacks.insert(1, keras.callbacks.TensorBoard(str(logs), write_graph=False))
    data = train.dataset(config.batch_size, config.seed, devices.replicas, weights)
    eval_data = evaluation.dataset(max(_EVAL_BATCH, config.batch_size), None, devices.replicas, weights)
    epochs = range(progress.epochs, config.epochs)
    if progress.is_over(config.epochs, config.early_stopping_patience):
        pass  # it was killed after its last epoch
    else:
        try:
            if devices.strategy:
                _replicas.fit(model, devices.strategy, data, eval_data, epochs, callbacks)
            else:
                _keras_fit(model, data, eval_data, epochs, callbacks, config)
        except tf.errors.InvalidArgumentError as error:
            if (blamed := train.late.blame(error)) is not None:
                raise blamed from error
            raise
    if not progress.is_finite:
        raise InputError(
            f"training diverged: the loss became {progress.history['loss'][-1]} in epoch {progress.epochs}. "
            "Lower training.hyperparameters.learning_rate, or scale the features in features.py."
        )
    if progress.best_weights is not None:
        model.set_weights(progress.best_weights)
    return {
        "epochs": list(range(1, progress.epochs + 1)),
        "history": progress.history,
        "best_epoch": progress.best_epoch + 1,
        "seconds": round(seconds_before + time.monotonic() - started, 3),
        "epoch_seconds": progress.seconds,
        "rows_per_second": [round(train.rows / max(seconds, 1e-3)) for seconds in progress.seconds],
        "resumed_after": progress.resumed_at,
        "devices": list(devices.names),
        "distribution": devices.distribution,
        "replicas": devices.replicas,
        "precision": devices.policy,
        "jit_compile": bool(model.jit_compile),
        "parameters": int(model.count_params()),
        "hyperparameters": {**config.hyperparameters, "batch_size": config.batch_size, "seed": config.seed},
    }


def freeze(model: keras.Model, module_file: str, digest: str = "") -> None:
    """Calls `freeze()` of the fitted model and of its layers, where they have one: what they then know needs no computing later."""
    for part in model._flatten_layers():  # the model itself first
        if callable(done := getattr(part, "freeze", None)):
            with user_code.calling(module_file, digest):
                done()


def _keras_fit(
    model: keras.Model, data: Any, eval_data: Any, epochs: range, callbacks: list[Any], config: TrainingConfig
) -> None:
    try:
        model.fit(
            data,
            validation_data=eval_data,
            initial_epoch=epochs.start,
            epochs=epochs.stop,
            shuffle=False,  # the dataset is
            callbacks=callbacks,
            verbose=2,
        )
    except tf.errors.InvalidArgumentError as error:
        # Said of operations that call Python, for instance.
        if config.jit_compile is True and "tf2xla" in str(error):
            found = re.search(r"unsupported operations[^:]*:\s*(.*?)(?:\n|$)", str(error))
            raise InputError(
                f"training.jit_compile: XLA cannot compile this model ({found[1] if found else error}). Set it to false."
            ) from error
        raise


def _jit_compile(config: TrainingConfig, schema: ModelSchema) -> bool | str:
    texts = [name for name, feature in schema.features.items() if feature.dtype == "string"]
    if texts and config.jit_compile is True:
        raise InputError(
            f"training.jit_compile: XLA cannot compile this model (feature {texts[0]!r} is text). Set it to false."
        )
    # Keras's own auto looks at the layers only, and text that goes into the step at all is too much for XLA.
    return False if texts or config.privacy else config.jit_compile


def sample_of(schema: ModelSchema) -> dict[str, Any]:
    """The features of two rows, zeros and empty texts."""
    return {
        name: np.full((2, *f.shape), "" if f.dtype == "string" else 0, dtype=object if f.dtype == "string" else f.dtype)
        for name, f in schema.features.items()
    }


def _check(model: Any, schema: ModelSchema, module_file: str) -> None:
    if not isinstance(model, keras.Model):
        raise InputError(f"{module_file}: build_model must return a keras.Model. Received: {type(model).__name__}.")
    shape = schema.kind.head_shape(schema)
    try:
        output = np.asarray(model(sample_of(schema), training=False))
    except Exception as error:
        inputs = ", ".join(f"{n} {f.dtype}{list(f.shape)}" for n, f in schema.features.items())
        raise InputError(
            f"{module_file}: the model does not take the features of features.py ({inputs}): "
            f"{user_code.explain(error, module_file)[:300]}"
        ) from error
    if len(output.shape) != 1 + len(shape) or any(
        n not in (None, m) for n, m in zip((2, *shape), output.shape, strict=True)
    ):
        needed, found = (
            ", ".join(["N", *("any" if n is None else str(n) for n in one)]) for one in (shape, output.shape[1:])
        )
        raise InputError(
            f"{module_file}: task {schema.task} needs an output of shape [{needed}]. Received: [{found}]. "
            "End build_model with schema.outputs(x)."
        )
    if objection := schema.kind.objection_to_output(output):
        raise InputError(f"{module_file}: {objection}")


class _Keeper(keras.callbacks.Callback):
    """Keeps what each epoch came to, ends the training, and sets the epoch that the shuffle follows from."""

    def __init__(
        self,
        train: Split,
        progress: Progress,
        config: TrainingConfig,
        checkpoints: Checkpoints | None,
        writes: bool,
        sketches: Sketches | None,
        after_epoch: Callable[[Progress], None] | None,
    ) -> None:
        super().__init__()
        self._train, self._progress, self._config = train, progress, config
        self._checkpoints, self._writes, self._sketches = checkpoints, writes, sketches
        self._after_epoch = after_epoch
        self._started = 0.0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._train.epoch, self._started = epoch, time.monotonic()
        tell(self._progress.in_words(self._config.epochs))

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        if logs.get("loss") == logs.get("val_loss") == 0:
            raise InputError(
                "training: the losses of train and eval are exactly 0. Of a train_step or test_step that returns `loss` alone, Keras "
                "shows the mean that it keeps itself: let them return another value beside it."
            )
        self._progress.add(logs, time.monotonic() - self._started, self.model, self._config.keep_weights)
        is_over = self._progress.is_over(self._config.epochs, self._config.early_stopping_patience)
        if self._sketches and self._progress.is_finite:
            self._sketches.draw(self.model, epoch + 1, is_over)
        if self._checkpoints and self._progress.is_finite:
            self._checkpoints.save(self.model, self._progress, self._writes)
        if self._after_epoch and self._progress.is_finite:
            self._after_epoch(self._progress)
        if is_over:
            self.model.stop_training = True
