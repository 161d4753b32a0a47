"""How far a student's probabilities are from its teacher's, both softened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


class SoftenedDivergence(keras.losses.Loss):
    """The Kullback-Leibler divergence of softened probabilities, times the squared temperature.

    Hinton et al. 2015, "Distilling the Knowledge in a Neural Network": a softmax of logits over a temperature T shows how alike the
    teacher finds the wrong classes. Its gradients shrink with T squared, which the factor makes good. The logarithms of
    probabilities are logits but for a number that is the same for all classes of a row, and that a softmax does not see.

    Args:
        scores: the output of a model -> the probability of each class, [N, C].
        temperature: T.
    """

    def __init__(self, scores: Callable[[Any], Any], temperature: float) -> None:
        super().__init__(name="softened_divergence")
        self._scores, self._temperature = scores, temperature

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Of each row, [N]; `y_true` are the teacher's probabilities, [N, C]."""
        taught, said = self._softened(y_true), self._softened(self._scores(y_pred))
        return self._temperature**2 * keras.losses.kl_divergence(taught, said)

    def _softened(self, probabilities: Any) -> Any:
        epsilon = keras.config.epsilon()
        return ops.softmax(ops.log(ops.clip(probabilities, epsilon, 1.0)) / self._temperature)
