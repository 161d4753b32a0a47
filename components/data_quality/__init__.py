"""Great Expectations as a gate: runs a suite on the examples that the model will train on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from components.data_quality._contract import check_contract

if TYPE_CHECKING:
    from components.data_quality.component import DataQuality

__all__ = ["DataQuality", "check_contract", "check_suite"]


def check_suite(suite_file: str | os.PathLike[str], schema_folder: str | os.PathLike[str]) -> None:
    """Raises InputError, with file and place, if a suite cannot be run on a schema."""
    from components.data_quality import _suite  # imports Great Expectations
    from components.schema import read_schema

    check_contract(suite_file, schema_folder)
    columns = {feature.name for feature in read_schema(os.fspath(schema_folder)).feature}
    _suite.read_suite(suite_file, columns)


def __getattr__(name: str) -> Any:
    # The worker is in this package and must start without TFX.
    if name == "DataQuality":
        from components.data_quality.component import DataQuality

        return DataQuality
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
