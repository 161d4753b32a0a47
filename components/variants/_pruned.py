"""Magnitude pruning: the smallest weights become zero while training goes on (Zhu and Gupta 2017, "To prune, or not to prune")."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

import keras
import numpy as np

from spec.errors import InputError

if TYPE_CHECKING:
    from components.trainer.compressing import Trained
    from components.trainer.training import Progress
    from spec.workload import Variant


def make(trained: Trained, variant: Variant, folder: pathlib.Path) -> None:
    """Trains on with ever more zeros, and writes the SavedModel.

    Raises:
        InputError: the model has no weights to prune.
    """
    rising = -(-variant.epochs // 2)
    masks: list[_Mask] = []

    def prepare(model: keras.Model) -> None:
        masks.extend(_Mask(one) for one in model.trainable_variables if len(one.shape) >= 2)
        if not masks:
            raise InputError("the model has no trainable matrix of weights to prune. Take another method")
        _prune(masks, sparsity_after(0, rising, variant.sparsity))

    def after_epoch(progress: Progress) -> None:
        _prune(masks, sparsity_after(progress.epochs, rising, variant.sparsity))

    trained.export(trained.further(variant.epochs, prepare, after_epoch), folder)


def sparsity_after(epoch: int, rising: int, final: float) -> float:
    """The share of zeros while epoch + 1 is trained: most come early, when there is still much to choose from.

    Args:
        epoch: how many are over.
        rising: in how many the share rises.
    """
    left = max(0.0, 1 - (epoch + 1) / rising)
    return final * (1 - left**3)


class _Mask:
    """Keeps the pruned weights of a variable at zero, as its constraint: optimizers apply it after each step."""

    def __init__(self, variable: keras.Variable) -> None:
        self._variable = variable
        self._kept = keras.Variable(np.ones(variable.shape, np.float32), trainable=False, name="kept")
        variable.constraint = self

    def __call__(self, value: keras.KerasTensor) -> keras.KerasTensor:
        return value * keras.ops.cast(self._kept, value.dtype)

    def prune(self, sparsity: float) -> None:
        """Sets the smallest weights of the variable to zero, for good."""
        sizes = np.abs(keras.ops.convert_to_numpy(self._variable)).ravel()
        kept = np.ones(sizes.size, np.float32)
        kept[np.argpartition(sizes, pruned)[:pruned] if (pruned := int(sparsity * sizes.size)) else []] = 0
        self._kept.assign(kept.reshape(self._variable.shape))
        self._variable.assign(self(self._variable.value))


def _prune(masks: list[_Mask], sparsity: float) -> None:
    for one in masks:
        one.prune(sparsity)
