"""What tasks whose label and answer are one number a row share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.tasks._base import Task
from components.tasks._context import Tensors
from spec.metrics import RMSE

if TYPE_CHECKING:
    import numpy as np

    from components.tasks._schema import ModelSchema


class NumberTask(Task):
    """The label and the answer are one number a row, in the label's own unit."""

    tfs_signature = "regress"
    epoch_metrics = (RMSE,)
    takes_variants = True
    explains = True

    def head_shape(self, schema: ModelSchema) -> tuple[int, ...]:
        return (1,)

    def head(self, schema: ModelSchema, x: Any) -> Any:
        """The layer before the last works in standard deviations around the label's mean."""
        import keras

        answers = self.answers_of(schema, x)
        if schema.label_scale == "linear":
            return keras.layers.Rescaling(schema.label_std, schema.label_mean, dtype="float32", name="output")(answers)
        from components.tasks._label_scale import FromLog

        logarithm = keras.layers.Rescaling(schema.label_std, schema.label_mean, dtype="float32")(answers)
        return FromLog(dtype="float32", name="output")(logarithm)

    def loss(self, schema: ModelSchema) -> Any:
        from components.tasks._label_scale import ScaledError

        return ScaledError(schema.label_std, schema.label_scale)

    def taught(self, answers: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """The teacher's number, as a label."""
        return answers.reshape(-1, 1)

    def teachers_loss(self, schema: ModelSchema, temperature: float) -> Any:
        """The task's own: a number has nothing to soften."""
        return self.loss(schema)

    def training_metrics(self) -> list[Any]:
        import keras

        return [keras.metrics.RootMeanSquaredError(name="rmse")]

    def answers(self, output: Any, features: Mapping[str, Any], model: Any) -> dict[str, Any]:
        return {self.output: output[:, 0]}

    def explained_score(self, output: Any, answered: Any) -> Any:
        """The number itself."""
        return output[:, 0]

    def tfs_answers(self, output: Any) -> dict[str, Any]:
        return {"outputs": output[:, 0]}

    def tfs_expected(self, answers: Tensors) -> Tensors:
        return {"outputs": answers[self.output]}
