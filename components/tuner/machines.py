"""Machines beside this one, which a platform lends to a search: it implements `Machines`, and the Tuner's executor finds them."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Protocol

STUDY, PROXY = "search_study", "search_proxy"
"""Execution properties by which a participant (participant.py) is told whose trials to try, and where they are answered for."""


class Machines(Protocol):
    """Machines that run a participant each, with the Tuner's own inputs and execution properties.

    Attributes:
        name: of the search, the same at every attempt of a run.
        count: how many there are.
        host: the address of this machine, as those reach it.
    """

    @property
    def name(self) -> str: ...

    @property
    def count(self) -> int: ...

    @property
    def host(self) -> str: ...

    def clear(self) -> None:
        """Ends those that an earlier attempt left."""

    def start(self, proxy: str) -> None:
        """Starts them; `proxy` is where this machine answers for the trials."""

    def check(self) -> None:
        """Raises where none of them can go on."""

    def dismiss(self, patience_s: float) -> None:
        """Waits until they have ended, since no trial is left; those that have not by then are ended."""


_lent: contextvars.ContextVar[Machines | None] = contextvars.ContextVar("machines", default=None)


@contextlib.contextmanager
def lent(machines: Machines) -> Iterator[None]:
    """Searches use the machines meanwhile."""
    token = _lent.set(machines)
    try:
        yield
    finally:
        _lent.reset(token)


def find() -> Machines | None:
    """The machines that there are beside this one."""
    return _lent.get()
