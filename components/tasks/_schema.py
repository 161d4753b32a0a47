"""What `build_model` is told about its inputs and its output."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from spec.tasks import find

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature that the model takes.

    Attributes:
        name: as `late_fn` returned it, or `preprocessing_fn` where there is none.
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
        label: the label's column; None without one.
        classes: in the order of the output, [negative, positive] for binary; empty where the label has none.
        label_mean: of the training split, on the label's scale, where it is a number.
        label_std: of the training split, on the label's scale, where it is a number.
        label_scale: linear, or log: what is learnt is log(1 + label).
        task_options: what workload.yaml says under that name.
        query: the column whose rows belong together, `data.query`; None without one.
        interactions: of each row of train the query's id (-1 without one) and the item's, as features.py made them, [N, 2] of int64;
            None where the task links no two features.
    """

    features: Mapping[str, Feature]
    task: str
    label: str | None
    classes: tuple[str, ...] = ()
    label_mean: float = 0.0
    label_std: float = 1.0
    label_scale: str = "linear"
    task_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    query: str | None = None
    interactions: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def kind(self) -> Any:
        """The task itself, a `components.tasks.Task`."""
        return cast(Any, find(self.task))(self.classes, options=self.task_options)

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
            ranking: the value [N, 1] in the label's own unit; other tasks: [N, *head_shape].
        """
        return self.kind.head(self, x)
