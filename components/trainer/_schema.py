"""What `build_model` is told about its inputs and its output."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class Feature:
    """A transformed feature.

    Attributes:
        name: as `preprocessing_fn` returned it.
        dtype: float32, int64 or string.
        shape: of one row, without the batch dimension; () for a scalar.
        vocabulary_size: for integer ids, how many there are (out-of-vocabulary ids included); None where unknown.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    vocabulary_size: int | None = None


@dataclasses.dataclass(frozen=True)
class ModelSchema:
    """The transformed features and the task.

    Attributes:
        features: by name, in a fixed order.
        task: binary, multiclass, regression or ranking.
        label: the label's column.
        classes: in the order of the output, [negative, positive] for binary; empty for regression and ranking.
        label_mean: of the training split, on the label's scale; regression and ranking only.
        label_std: of the training split, on the label's scale; regression and ranking only.
        label_scale: linear, or log: what is learnt is log(1 + label).
    """

    features: Mapping[str, Feature]
    task: str
    label: str
    classes: tuple[str, ...] = ()
    label_mean: float = 0.0
    label_std: float = 1.0
    label_scale: str = "linear"

    def inputs(self) -> dict[str, keras.KerasTensor]:
        """One `keras.Input` a feature."""
        import keras

        return {
            # Keras takes any name but one with a slash, which TensorFlow's scopes reserve.
            name: keras.Input(shape=feature.shape, dtype=feature.dtype, name=name.replace("/", "_"))
            for name, feature in self.features.items()
        }

    def outputs(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """The head that fits the task, on features of shape [N, d].

        Of several networks side by side, [N, members, d], each has a head of its own and is trained by its own loss; the model
        answers with their mean.

        Returns:
            binary: probability of the positive class [N, 1]; multiclass: probabilities [N, C]; regression and
            ranking: the value [N, 1] in the label's own unit (the layer before works in standard deviations around the mean).
        """
        import keras

        # float32 whatever the policy: half precision is for the layers before, not for probabilities.
        answers = self._answers(x)
        if self.task == "binary":
            return keras.layers.Activation("sigmoid", dtype="float32", name="output")(answers)
        if self.task == "multiclass":
            return keras.layers.Activation("softmax", dtype="float32", name="output")(answers)
        if self.label_scale == "linear":
            return keras.layers.Rescaling(self.label_std, self.label_mean, dtype="float32", name="output")(answers)
        from components.trainer._label_scale import FromLog

        logarithm = keras.layers.Rescaling(self.label_std, self.label_mean, dtype="float32")(answers)
        return FromLog(dtype="float32", name="output")(logarithm)

    def _answers(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """What the task's loss takes before a sigmoid, a softmax or the label's unit: [N, 1] or [N, C]."""
        import keras

        width = len(self.classes) if self.task == "multiclass" else 1
        if len(x.shape) == 2:
            return keras.layers.Dense(width, dtype="float32")(x)
        from components.trainer._members import MeanAnswer

        own = keras.layers.EinsumDense("nmi,mio->nmo", (x.shape[1], width), bias_axes="mo", dtype="float32")(x)
        return MeanAnswer(self.task, dtype="float32")(own)
