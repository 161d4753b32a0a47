"""Trainer: fits a workload's Keras model on transformed Examples and exports it for serving."""

from components.tasks import Feature, ModelSchema
from components.trainer._config import TrainingConfig

__all__ = ["Feature", "ModelSchema", "TrainingConfig"]
