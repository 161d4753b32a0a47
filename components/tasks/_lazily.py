"""Modules that Airflow's environment lacks, or that take long to import: they are imported when they are first used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any


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


if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from components import confidence, pictures
else:
    modules = (
        *("numpy", "pandas", "pyarrow", "pyarrow.compute", "pyarrow.parquet"),
        *("components.confidence", "components.pictures"),
    )
    np, pd, pa, pc, pq, confidence, pictures = map(lazily, modules)

__all__ = ["confidence", "lazily", "np", "pa", "pc", "pd", "pictures", "pq"]
