"""How many requests a key may send."""

from __future__ import annotations

import time


class Bucket:
    """Tokens that come at a rate, up to a burst; a request takes one.

    Args:
        rate: tokens a second.
        burst: tokens at most, and at the start.
    """

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = time.monotonic()

    def take(self) -> float:
        """Takes a token; returns 0, or the seconds until there is one."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0
