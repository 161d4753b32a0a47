"""A library's function that another one stands in for, for a while."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any


@contextlib.contextmanager
def replaced(module: ModuleType, name: str, ours: Callable[..., Any]) -> Iterator[None]:
    """Meanwhile whoever looks the function up in its module finds ours, which has to give the same results.

    Args:
        module: of the library.
        name: of its function.
        ours: what stands in for it.
    """
    theirs = getattr(module, name)
    setattr(module, name, ours)
    try:
        yield
    finally:
        setattr(module, name, theirs)
