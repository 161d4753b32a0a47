"""Prints what happens and when."""

from __future__ import annotations

import sys
import textwrap
import time

from embedded.commands import say

WIDTH = 118


class Timeline:
    """Lines with the seconds since the start; details are indented below."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        # Colour only on a terminal: in a pipe, escape codes are noise.
        self._bold, self._plain = ("\033[1m", "\033[0m") if sys.stdout is not None and sys.stdout.isatty() else ("", "")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def headline(self, text: str) -> None:
        say(f"\n{self._bold}{text}{self._plain}")

    def event(self, text: str) -> None:
        say(f"{self.seconds:6.1f} s  {text}")

    def detail(self, text: str) -> None:
        for line in textwrap.wrap(text, WIDTH - 10, subsequent_indent="    ", break_long_words=False) or [""]:
            say(f"          {line}")

    def plain(self, text: str = "") -> None:
        say(text)
