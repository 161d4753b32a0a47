from __future__ import annotations

import importlib
from typing import Any


def lazily(module: str) -> Any:
    """A module that is imported at the first look at one of its attributes.

    Example:
        >>> from typing import TYPE_CHECKING
        >>> if TYPE_CHECKING:
        ...     import numpy as np
        ... else:
        ...     np = lazily("numpy")
    """
    return _Lazy(module)


class _Lazy:
    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # pickle and inspect probe; that is no reason to import
        value = getattr(importlib.import_module(self._module), name)
        setattr(self, name, value)
        return value
