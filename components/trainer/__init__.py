"""Trainer: fits a workload's Keras model on transformed Examples and exports it for serving."""

from components.trainer._config import TrainingConfig
from components.trainer._schema import Feature, ModelSchema

__all__ = ["Feature", "ModelSchema", "TrainingConfig"]
