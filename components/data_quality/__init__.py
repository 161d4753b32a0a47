"""Great Expectations as a gate: runs a suite on the examples that the model will train on."""

from __future__ import annotations

import os
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.data_quality.component import DataQuality

__all__ = ["DataQuality", "check_suite"]


def check_suite(suite_file: str | os.PathLike[str], columns: AbstractSet[str]) -> None:
    """Raises InputError, with file and place, if a suite cannot be run on a schema of these columns."""
    from components.data_quality._suite import read_suite  # imports Great Expectations

    read_suite(suite_file, columns)


def __getattr__(name: str) -> Any:
    # The worker lives in this package and must start without TFX.
    if name == "DataQuality":
        from components.data_quality.component import DataQuality

        return DataQuality
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
