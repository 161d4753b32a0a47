"""DP-SGD: what a row of train may change in a model is bounded, and epsilon says by how much.

Abadi et al. 2016, "Deep Learning with Differential Privacy". Each step draws its rows on their own (Poisson sampling), shortens each
row's gradient, and adds noise to their sum; the accountant is Google's dp-accounting (privacy loss distributions). Neither the draws
nor the noise follow `training.seed`: who could repeat them could take the noise away again.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
import tensorflow as tf

from components.trainer._config import TrainingConfig
from spec.errors import InputError
from spec.workload import Privacy

# Per-row gradients that are in memory at a time.
_BYTES_AT_ONCE = 256 * 2**20
COVERS = "the model's weights, towards the rows of train; not what the transform analysed (means, vocabularies)"


def check(config: TrainingConfig, rows: int) -> None:
    """Whether the training stays within its budget, before it begins.

    Args:
        rows: of train.

    Raises:
        InputError: it does not, or delta promises nothing.
    """
    privacy = config.privacy
    assert privacy is not None
    if privacy.delta >= 1 / rows:
        raise InputError(
            f"training.privacy.delta must be below 1 over the rows of train ({1 / rows:.2g}): a greater one allows a row to be "
            f"shown whole. Received: {privacy.delta:g}."
        )
    steps = config.epochs * config.steps_per_epoch(rows)
    wanted = epsilon(config, rows, steps)
    if wanted > privacy.max_epsilon:
        raise InputError(
            f"training.privacy: {config.epochs} epochs of batches of {config.batch_size} with noise {privacy.noise:g} spend an "
            f"epsilon of {wanted:.3g} at delta {privacy.delta:g}. max_epsilon is {privacy.max_epsilon:g}. "
            f"{_remedy(config, rows, steps)}"
        )


def spent(config: TrainingConfig, rows: int, epochs: int) -> dict[str, Any]:
    """What a training has spent, for history.json and the release.

    Args:
        rows: of train.
        epochs: that were done, whichever one's weights were kept.
    """
    privacy = config.privacy
    assert privacy is not None
    steps = epochs * config.steps_per_epoch(rows)
    return {
        "epsilon": epsilon(config, rows, steps),
        "delta": privacy.delta,
        "clip": privacy.clip,
        "noise": privacy.noise,
        "steps": steps,
        "covers": COVERS,
    }


def epsilon(config: TrainingConfig, rows: int, steps: int) -> float:
    """Epsilon at `privacy.delta`, for data sets that differ in one row more or less; rounded up at the fourth digit."""
    from dp_accounting import pld

    assert config.privacy is not None
    accountant = pld.PLDAccountant()
    accountant.compose(_event(config.privacy.noise, config, rows, steps))
    found = float(accountant.get_epsilon(config.privacy.delta))
    return math.ceil(found * 1e4) / 1e4 if math.isfinite(found) else found


def _event(noise: float, config: TrainingConfig, rows: int, steps: int) -> Any:
    from dp_accounting import dp_event

    step = dp_event.PoissonSampledDpEvent(min(1.0, config.batch_size / rows), dp_event.GaussianDpEvent(noise))
    return dp_event.SelfComposedDpEvent(step, steps)


def _remedy(config: TrainingConfig, rows: int, steps: int) -> str:
    from dp_accounting import mechanism_calibration, pld

    privacy = config.privacy
    assert privacy is not None
    try:
        noise = mechanism_calibration.calibrate_dp_mechanism(
            pld.PLDAccountant,
            lambda noise: _event(noise, config, rows, steps),
            privacy.max_epsilon,
            privacy.delta,
            mechanism_calibration.LowerEndpointAndGuess(privacy.noise, 2 * privacy.noise),
            tol=0.01,
        )
    except mechanism_calibration.NoBracketIntervalFoundError:
        return "Allow more, or train fewer epochs."
    return f"Set noise to {math.ceil(noise * 100 + 1) / 100:g}, or train fewer epochs or with smaller batches."


def private(model: keras.Model, config: TrainingConfig) -> None:
    """Lets a compiled model train under differential privacy.

    Raises:
        InputError: a layer mixes the rows of a batch, or the model trains in a way of its own.
    """
    assert config.privacy is not None
    if type(model).train_step is not keras.Model.train_step:
        raise InputError(
            f"model.py: {type(model).__name__} has a train_step of its own, which training.privacy would have to replace. Remove one "
            "of them."
        )
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            raise InputError(
                f"model.py: layer {layer.name!r} is a BatchNormalization, which mixes the rows of a batch, so that training.privacy "
                "cannot bound what one of them does. Take GroupNormalization or LayerNormalization."
            )
    model.train_step = functools.partial(_Step(config.privacy, config.batch_size), model)


class _Step:
    """One step of training, in place of Keras's own.

    Args:
        batch_size: rows of a batch on average, by which the sum of gradients is divided.
    """

    def __init__(self, privacy: Privacy, batch_size: int) -> None:
        self._privacy, self._batch_size = privacy, batch_size
        self._random = tf.random.Generator.from_non_deterministic_state()

    def __call__(self, model: keras.Model, data: Any) -> dict[str, Any]:
        features, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
        weights = tf.ones(tf.shape(targets)[:1]) if weights is None else weights
        sums, losses, outputs = self._sums(model, (features, targets, weights))
        deviation = self._privacy.noise * self._privacy.clip
        gradients = [(one + self._random.normal(one.shape, stddev=deviation)) / self._batch_size for one in sums]
        model.optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        model._loss_tracker.update_state(losses)  # as Keras's own train_step does
        return model.compute_metrics(features, targets, outputs, sample_weight=weights)  # type: ignore[no-any-return]

    def _sums(self, model: keras.Model, rows: Any) -> tuple[list[tf.Tensor], tf.Tensor, tf.Tensor]:
        """The shortened gradients of all rows together, their losses [n] and outputs [n, ...]."""
        variables = [one.value for one in model.trainable_weights]
        at_once = max(1, _BYTES_AT_ONCE // (4 * max(1, model.count_params())))

        def of_row(row: Any) -> Any:
            features, target, weight = tf.nest.map_structure(lambda one: one[tf.newaxis], row)
            with tf.GradientTape() as tape:
                output = model(features, training=True)
                loss = model.compute_loss(features, target, output, sample_weight=weight, training=True)
            found = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            dense = [tf.convert_to_tensor(one) for one in found]
            share = self._privacy.clip / tf.maximum(tf.linalg.global_norm(dense), self._privacy.clip)
            return [one * share for one in dense], loss, output[0]

        def of_some(start: tf.Tensor) -> Any:
            some = tf.nest.map_structure(lambda one: one[start : start + at_once], rows)
            gradients, losses, outputs = tf.vectorized_map(of_row, some)
            return [tf.reduce_sum(one, axis=0) for one in gradients], losses, outputs

        count = tf.shape(rows[2])[0]
        sums, losses, outputs = of_some(tf.constant(0))
        start = tf.constant(at_once)

        def more(start: tf.Tensor, sums: Any, losses: tf.Tensor, outputs: tf.Tensor) -> Any:
            next_sums, next_losses, next_outputs = of_some(start)
            added = [one + other for one, other in zip(sums, next_sums, strict=True)]
            return start + at_once, added, tf.concat([losses, next_losses], 0), tf.concat([outputs, next_outputs], 0)

        any_number = [
            start.shape,
            [one.shape for one in sums],
            tf.TensorShape([None]),
            tf.TensorShape([None, *outputs.shape[1:]]),
        ]
        _, sums, losses, outputs = tf.while_loop(
            lambda start, *_: start < count, more, [start, sums, losses, outputs], shape_invariants=any_number
        )
        return sums, losses, outputs
