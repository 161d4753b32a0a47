"""What the signature `explain` answers, and whether that adds up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

ATTRIBUTION = "_attribution"
"""After an input's name: how far its column moved the score, [N]."""
MAP = "_map"
"""After the name of a picture's input: how far each pixel did, of the row's most, [N, H, W]."""
SCORE, BASELINE_SCORE = "explained", "baseline_score"
"""The score that is explained, and that of the ordinary row which it is compared with, [N]."""

_ROUNDING = 1e-4  # of a score, where nothing is apart


def attributions(answers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """By input."""
    return {name.removesuffix(ATTRIBUTION): value for name, value in answers.items() if name.endswith(ATTRIBUTION)}


def residual(answers: Mapping[str, np.ndarray]) -> float:
    """What no column accounts for of what separates the rows' scores from the ordinary row's, as a share of it; 0 is exact."""
    score = answers[SCORE].astype(np.float64)
    apart = score - answers[BASELINE_SCORE]
    left = apart - sum(value.astype(np.float64) for value in attributions(answers).values())
    return float(np.abs(left).sum() / (np.abs(apart).sum() + _ROUNDING * np.maximum(1, np.abs(score)).sum()))
