"""Baseline: what a simple method reaches on the same data, so that a person sees what the network is worth."""

from components.baseline.component import Baseline
from components.baseline.config import BaselineConfig

__all__ = ["Baseline", "BaselineConfig"]
