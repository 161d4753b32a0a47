"""Figures in the page's one way of writing them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from components import formats

FIGURES = [
    (0.91324, "0.9132"),
    (1.0, "1.0000"),
    (0.0, "0.0000"),
    (-0.0131, "−0.0131"),
    (38.41, "38.41"),
    (1234.5, "1,234"),
    (12417, "12,417"),
    (1.2e-7, "1.2e−07"),
    (math.nan, "–"),
    (None, "–"),
    ("x", "–"),
    (True, "–"),
]


@pytest.mark.parametrize(("value", "text"), FIGURES)
def test_figure(value: Any, text: str) -> None:
    assert formats.figure(value) == text


@pytest.mark.parametrize(("value", "text"), [(11.80, "11.8"), (41.0, "41"), (-87.9, "−87.9"), (1.703e10, "1.703e+10")])
def test_brief(value: float, text: str) -> None:
    assert formats.brief(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0 %"), (0.0004, "<0.1 %"), (0.284, "28.4 %"), (0.9999, ">99.9 %"), (1.0, "100 %")]
)
def test_percent(share: float, text: str) -> None:
    assert formats.percent(share) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.42, "0.4 s"), (59.2, "59.2 s"), (125, "2 min 5 s"), (3700, "1 h 1 min"), (None, "–")]
)
def test_duration(seconds: float | None, text: str) -> None:
    assert formats.duration(seconds) == text


def test_when_is_utc() -> None:
    assert formats.when("2026-11-21T10:15:00+02:00") == "21 November 2026, 08:15 UTC"
    assert formats.when("no time") == "no time"
