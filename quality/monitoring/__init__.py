"""Compares requests to a served model with its training data: skew between training and serving, prediction drift."""

from quality.monitoring._skew import SkewRequest, check_skew, save
from quality.monitoring._training import Examples, ExamplesOf

__all__ = ["Examples", "ExamplesOf", "SkewRequest", "check_skew", "save"]
