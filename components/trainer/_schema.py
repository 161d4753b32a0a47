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

        Returns:
            binary: probability of the positive class [N, 1]; multiclass: probabilities [N, C]; regression and
            ranking: the value [N, 1] in the label's own unit (the layer before works in standard deviations around the mean).
        """
        import keras

        # float32 whatever the policy: half precision is for the layers before, not for probabilities.
        if self.task == "binary":
            return keras.layers.Dense(1, activation="sigmoid", dtype="float32", name="output")(x)
        if self.task == "multiclass":
            return keras.layers.Dense(len(self.classes), activation="softmax", dtype="float32", name="output")(x)
        standardised = keras.layers.Dense(1, dtype="float32")(x)
        if self.label_scale == "linear":
            return keras.layers.Rescaling(self.label_std, self.label_mean, dtype="float32", name="output")(standardised)
        from components.trainer._label_scale import FromLog

        logarithm = keras.layers.Rescaling(self.label_std, self.label_mean, dtype="float32")(standardised)
        return FromLog(dtype="float32", name="output")(logarithm)
