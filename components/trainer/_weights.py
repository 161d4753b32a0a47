"""What a row counts in the loss, by its class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.trainer._config import TrainingConfig
from spec.errors import InputError


def class_weights(
    config: TrainingConfig, classes: Sequence[str], counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32] | None:
    """The weight of each class, [classes]; None where all rows count the same.

    Balanced weights are rows / (classes * rows of the class), as scikit-learn has them: every class weighs the same as a whole,
    and a row of train 1 on average, so that the learning rate means what it meant. A class without a row in train has 1.

    Args:
        classes: in the order of the model's output.
        counts: rows of each class in train, [classes].

    Raises:
        InputError: a weight is given for something that is no class.
    """
    if config.class_weights == "none":
        return None
    if config.class_weights == "balanced":
        present = np.count_nonzero(counts)
        return np.where(counts > 0, counts.sum() / (present * np.maximum(counts, 1)), 1.0).astype(np.float32)
    assert isinstance(config.class_weights, dict)
    if unknown := [name for name in config.class_weights if name not in classes]:
        raise InputError(
            f"training.class_weights: the label {config.label!r} has no class {unknown[0]!r}. Classes: "
            f"{', '.join(map(repr, classes[:20]))}."
        )
    return np.array([config.class_weights.get(name, 1.0) for name in classes], np.float32)
