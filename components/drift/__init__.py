"""How far data has moved: distributions of columns, measures between them, and a gate with limits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from components.drift._distributions import Categories, Distribution, Numbers, categories, from_json, numbers
from components.drift._judge import PREDICTION_DRIFT, SKEW, Comparison, check, comparisons
from components.drift._measures import compare
from components.drift._profile import Profile, profile

if TYPE_CHECKING:
    from components.drift.component import DriftDetector

__all__ = [
    "PREDICTION_DRIFT",
    "SKEW",
    "Categories",
    "Comparison",
    "Distribution",
    "DriftDetector",
    "Numbers",
    "Profile",
    "categories",
    "check",
    "compare",
    "comparisons",
    "from_json",
    "numbers",
    "profile",
]


def __getattr__(name: str) -> Any:
    # Comparing two distributions does not need TFX.
    if name == "DriftDetector":
        from components.drift.component import DriftDetector

        return DriftDetector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
