"""What a served model is asked, held against what it was trained on: skew between training and serving, prediction drift."""

from quality.monitoring._skew import SkewRequest, check_skew, save
from quality.monitoring._training import Examples, ExamplesOf

__all__ = ["Examples", "ExamplesOf", "SkewRequest", "check_skew", "save"]
