"""What is to hold of every value of a strategy, and how it is searched."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st


@dataclasses.dataclass(frozen=True)
class Property:
    """What is to hold of every value of a strategy.

    Attributes:
        holds: raises where it does not.
    """

    name: str
    given: st.SearchStrategy[Any]
    holds: Callable[[Any], None]

    def search(self, number: int, how: settings) -> None:
        """Raises what Hypothesis raises with the smallest value that it has found.

        Args:
            number: the seed.
        """

        def test(value: Any) -> None:
            self.holds(value)

        how(seed(number)(given(self.given)(test)))()


def quick(examples: int) -> settings:
    """Few examples, the same each time."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
