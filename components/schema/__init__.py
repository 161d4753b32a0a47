"""SchemaImporter: the reviewed contract of schemas/<workload>/ as an artifact."""

from components.schema._schema import (
    MASKED,
    booleans_of,
    classes_of,
    feature_of,
    has_lists,
    is_ignored,
    is_personal,
    is_picture,
    known_texts,
    left_out,
    read_schema,
    time_format_of,
    withheld_columns,
    without,
)

__all__ = [
    "MASKED",
    "booleans_of",
    "classes_of",
    "feature_of",
    "has_lists",
    "is_ignored",
    "is_personal",
    "is_picture",
    "known_texts",
    "left_out",
    "read_schema",
    "time_format_of",
    "withheld_columns",
    "without",
]
