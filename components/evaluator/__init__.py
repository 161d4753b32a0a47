"""Evaluator: metrics by slice, thresholds, champion against challenger."""

from components.evaluator.component import Evaluator
from components.evaluator.config import EvaluationConfig

__all__ = ["EvaluationConfig", "Evaluator"]
