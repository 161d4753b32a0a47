"""Reading a reviewed contract, schemas/<workload>/schema.pbtxt, and what it says of each column."""

from components.schema._schema import (
    FILE_NAME,
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

__all__ = [
    "FILE_NAME",
    "MASKED",
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
