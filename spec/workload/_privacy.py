"""Training under differential privacy."""

from __future__ import annotations

from pydantic import Field

from spec.section import Section


class Privacy(Section):
    clip: float = Field(default=1.0, gt=0, le=1e6)
    """The greatest length of a row's gradient; longer ones are shortened to it."""
    noise: float = Field(gt=0, le=1000)
    """The standard deviation of the noise on the sum of a batch's gradients, in multiples of `clip`."""
    max_epsilon: float = Field(gt=0, le=1000)
    """The budget: a training that would spend more is refused before it begins."""
    delta: float = Field(default=1e-5, gt=0, lt=1)
    """How likely epsilon may fail to hold; must be below 1 over the rows of train."""
