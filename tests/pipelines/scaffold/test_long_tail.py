from __future__ import annotations

import numpy as np
import pytest

from components.tasks.regression import has_long_tail

_RANDOM = np.random.default_rng(1)
_PRICES = np.exp(_RANDOM.normal(7.8, 1.0, 2000))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (_PRICES, True),
        (np.where(np.arange(2000) % 50 == 0, 0, _PRICES), True),  # a zero here and there
        (np.where(np.arange(2000) % 3 == 0, 0, _PRICES), False),  # many: the logarithm has two humps
        (_PRICES - 500, False),  # some below zero
        (_RANDOM.normal(50, 10, 2000), False),
        (_RANDOM.uniform(0, 100, 2000), False),
        (-_PRICES + _PRICES.max(), False),  # a tail to the left
        (_PRICES / 1e9, False),  # so small that log(1 + y) is y
        (np.full(2000, 3.0), False),
    ],
)
def test_amounts_with_a_long_tail_are_learnt_as_logarithms(values: np.ndarray, expected: bool) -> None:
    assert has_long_tail(values) is expected
