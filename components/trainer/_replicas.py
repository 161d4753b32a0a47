"""Fitting a model whose batches are shared by replicas, of this process and of others.

`Model.fit` of Keras 3.15 cannot run under MultiWorkerMirroredStrategy, and under MirroredStrategy it takes no batch that does not
divide evenly (docs/decisions/0011-training-on-several-devices.md). The steps are Keras's own, `train_step` and `test_step`, with
gradients summed over all replicas by its optimizer; the loop around them is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from components.trainer._progress import Progress
from spec.errors import InputError


def fit(
    model: keras.Model,
    strategy: Any,
    train: tf.data.Dataset,
    evaluation: tf.data.Dataset,
    epochs: range,
    callbacks: Sequence[Any],
) -> None:
    """Fits. Every worker calls it with the same arguments; the loop ends early once a callback sets `model.stop_training`.

    Args:
        model: built and compiled in the strategy's scope, its optimizer too.
        strategy: a MirroredStrategy or a MultiWorkerMirroredStrategy.
        train: batches of all replicas together; TensorFlow gives each its share.
        callbacks: Keras callbacks, told about epochs.
    """
    shards = [strategy.experimental_distribute_dataset(data) for data in (train, evaluation)]
    # The first call makes the metrics' variables, which a graph could not.
    strategy.run(model.test_step, args=(next(iter(shards[1])),))
    steps = [_step(strategy, step) for step in (model.train_step, model.test_step)]
    listeners = keras.callbacks.CallbackList(list(callbacks), add_history=False, model=model, epochs=epochs.stop)
    model.stop_training = False
    listeners.on_train_begin()
    for epoch in epochs:
        listeners.on_epoch_begin(epoch)
        logs = _pass(model, steps[0], shards[0])
        logs |= {f"val_{name}": value for name, value in _pass(model, steps[1], shards[1]).items()}
        listeners.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    listeners.on_train_end()


def check_alike(strategy: Any, progress: Progress) -> None:
    """Workers that start with different epochs would wait for each other forever.

    Raises:
        InputError: they found different checkpoints.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return
    mine = tf.constant([float(progress.epochs), float(progress.epochs) ** 2])
    total = strategy.run(lambda: tf.distribute.get_replica_context().all_reduce("SUM", mine))
    epochs, squares = strategy.experimental_local_results(total)[0].numpy() / strategy.num_replicas_in_sync
    if abs(squares - epochs**2) > 1e-3:
        raise InputError(
            f"the workers found different checkpoints (this one: after epoch {progress.epochs}). Set TRAINYARD_CHECKPOINTS to a "
            "URL that all of them reach."
        )


def _step(strategy: Any, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def run(batch: Any) -> None:
        strategy.run(step, args=(batch,))

    return tf.function(run, autograph=False, reduce_retracing=True)  # type: ignore[no-any-return]


def _pass(model: keras.Model, step: Callable[[Any], Any], shards: Iterable[Any]) -> dict[str, float]:
    model.reset_metrics()
    for batch in shards:
        step(batch)
    # Read outside of the replicas, the metrics' variables are summed over all workers.
    return {name: float(value) for name, value in model.get_metrics_result().items()}
