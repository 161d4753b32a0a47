"""A library's function that another one stands in for, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def replaced(owner: ModuleType | type, name: str, ours: Callable[..., Any]) -> Iterator[None]:
    """Meanwhile whoever looks the function up in its module or class finds ours, which has to give the same results.

    Args:
        owner: the library's module, or its class.
        name: of its function.
        ours: what stands in for it.
    """
    theirs = getattr(owner, name)
    setattr(owner, name, ours)
    try:
        yield
    finally:
        setattr(owner, name, theirs)
