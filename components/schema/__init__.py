"""SchemaImporter: the reviewed contract of schemas/<workload>/ as an artifact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from components.schema._schema import (
    MASKED,
    booleans_of,
    classes_of,
    feature_of,
    is_ignored,
    is_personal,
    known_texts,
    left_out,
    read_schema,
    time_format_of,
)

if TYPE_CHECKING:
    from components.schema.component import SchemaImporter

__all__ = [
    "MASKED",
    "SchemaImporter",
    "booleans_of",
    "classes_of",
    "feature_of",
    "is_ignored",
    "is_personal",
    "known_texts",
    "left_out",
    "read_schema",
    "time_format_of",
]


def __getattr__(name: str) -> Any:
    # DataQuality's worker and the checks before a run read schemas without loading TFX.
    if name == "SchemaImporter":
        from components.schema.component import SchemaImporter

        return SchemaImporter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
