"""Several small networks in one model: each answers for itself, and the mean of their answers is the model's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from spec import tasks


@keras.saving.register_keras_serializable("trainyard")
class MeanAnswer(keras.layers.Layer):
    """The mean of members' answers, [N, members, d] -> [N, d], before any sigmoid or softmax.

    Members that are trained by the loss of their mean mend what the others leave, as parts of one large network that soon knows
    the rows by heart. So in training the loss is raised to the mean of the members' own losses. How much that is more does not
    depend on labels: the variance of the members where the loss is a squared error (Krogh and Vedelsby 1995, "Neural Network
    Ensembles, Cross Validation, and Active Learning"), the gap in Jensen's inequality for the normaliser where it is a
    cross-entropy (Wood et al. 2023, "A Unified Theory of Diversity in Ensemble Learning").
    """

    def __init__(self, task: str, **options: Any) -> None:
        super().__init__(**options)
        self.task = task
        found: Any = tasks.find(task)  # a Task, which imports this module
        self._curved_loss: Callable[[Any], Any] = found().curved_loss

    def call(self, answers: Any, training: bool = False) -> Any:
        mean = ops.mean(answers, axis=1)
        if training:
            self.add_loss(ops.mean(ops.mean(self._curved_loss(answers), axis=1) - self._curved_loss(mean)))
        return mean

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], *shape[2:])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "task": self.task}
