"""The scale on which a number is learnt: as it is, or its logarithm, for amounts with a long tail.

The logarithm is inside of the model: what goes in and comes out, and every metric, is in the label's own unit.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

LOG = "log"
_LOWEST, _HIGHEST = -10.0, 85.0  # expm1 of more is no float32


@keras.saving.register_keras_serializable("trainyard")
class FromLog(keras.layers.Layer):
    """log(1 + amount) -> amount, never below zero. In training small values may pass it, so that gradients do."""

    def call(self, x: Any, training: bool = False) -> Any:
        return ops.expm1(ops.clip(x, _LOWEST if training else 0.0, _HIGHEST))


class ScaledError(keras.losses.Loss):
    """Squared error in the label's standard deviations, so that one learning rate suits prices and probabilities alike.

    Args:
        deviation: standard deviation of the label on its scale.
        scale: linear or log.
    """

    def __init__(self, deviation: float, scale: str = "linear") -> None:
        super().__init__(name="scaled_mse")
        self._deviation = deviation or 1.0
        self._log = scale == LOG

    def call(self, y_true: Any, y_pred: Any) -> Any:
        # The label is [N] and the output [N, 1]: left as they are they would broadcast to [N, N].
        label = ops.reshape(ops.cast(y_true, y_pred.dtype), ops.shape(y_pred))
        if self._log:
            label, y_pred = ops.log1p(label), ops.log1p(y_pred)
        return ops.mean(ops.square((label - y_pred) / self._deviation), axis=-1)
