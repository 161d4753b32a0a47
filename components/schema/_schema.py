"""Reading a schema. TFMD is imported by who reads one: the package is loaded where there is none, in Airflow."""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from spec.errors import InputError

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import schema_pb2

FILE_NAME = "schema.pbtxt"
_PERSONAL = "personal"
_PICTURE = "image"
MASKED = "(personal)"
"""What stands in place of a personal value wherever people read."""


def read_schema(uri: str, left_out: Collection[str] = ()) -> schema_pb2.Schema:
    """The schema of a Schema artifact, or of a folder of contracts.

    Raises:
        InputError: there is no schema, or it is not valid; names the line.
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    path = pathlib.Path(uri) / FILE_NAME
    try:
        schema = schema_pb2.Schema()
        schema.CopyFrom(_parsed(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. `trainyard new` drafts one from data.") from None
    except text_format.ParseError as error:
        detail = re.sub(r"^\d+:\d+ : ", "", str(error)).rstrip(".")
        raise InputError(f"{path}, line {error.GetLine()}: {detail}. Mend the schema (TFMD text format).") from None
    except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}. It is to be a text file.") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8."
        ) from None
    if not schema.feature:
        raise InputError(f"{path}: names no feature. Add one `feature {{ ... }}` for each column.")
    return without(schema, left_out)


def without(schema: schema_pb2.Schema, columns: Collection[str]) -> schema_pb2.Schema:
    """The schema of the other columns; the same where it has none of these."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    if not any(feature.name in columns for feature in schema.feature):
        return schema
    rest = schema_pb2.Schema()
    rest.CopyFrom(schema)
    del rest.feature[:]
    rest.feature.extend(feature for feature in schema.feature if feature.name not in columns)
    return rest


@functools.lru_cache(maxsize=4)
def _parsed(text: str) -> schema_pb2.Schema:
    """Parsed and cached: every node of a run reads the same schema, and 2,000 features take half a second to parse."""
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    return text_format.Parse(text, schema_pb2.Schema())


def is_ignored(name: str, ignore: Collection[str]) -> bool:
    """Whether a column matches one of some names and patterns, in which only `*` is special.

    Example:
        >>> is_ignored("debug_1", ["debug_*"]), is_ignored("debug", ["debug_*"])
        (True, False)
    """
    return name in ignore or any(
        re.fullmatch(".*".join(map(re.escape, one.split("*"))), name, re.DOTALL) for one in ignore if "*" in one
    )


def left_out(schema: schema_pb2.Schema, ignore: Collection[str]) -> tuple[str, ...]:
    """The schema's columns that names and patterns leave out; `*` alone stands for whatever the schema does not name."""
    patterns = [one for one in ignore if one != "*"]
    return tuple(sorted(feature.name for feature in schema.feature if is_ignored(feature.name, patterns)))


def feature_of(schema: schema_pb2.Schema, name: str) -> Any:
    """The feature of a name.

    Raises:
        InputError: the schema has none of that name.
    """
    for feature in schema.feature:
        if feature.name == name:
            return feature
    raise InputError(f"{FILE_NAME}: has no feature {name!r}. Add it, or name another column in workload.yaml.")


def is_personal(feature: schema_pb2.Feature) -> bool:
    """Whether the feature has `annotation { tag: "personal" }`: its values are neither shown nor recorded."""
    return _PERSONAL in feature.annotation.tag


def withheld_columns(
    schema: schema_pb2.Schema, personal_features: Collection[str], label: str | None
) -> frozenset[str]:
    """The personal columns that no model learns from: all but the label and what `data.personal_features` names."""
    personal = {feature.name for feature in schema.feature if is_personal(feature)}
    return frozenset(personal - {*personal_features, label})


def is_picture(feature: schema_pb2.Feature) -> bool:
    """Whether the feature has an `image_domain {}`, or the tag `image`, as numbers with a domain of their own have."""
    return feature.WhichOneof("domain_info") == "image_domain" or _PICTURE in feature.annotation.tag


def has_lists(feature: schema_pb2.Feature) -> bool:
    """Whether a row may have any number of values: a `value_count` that goes beyond one, or has no `max`."""
    return feature.HasField("value_count") and feature.value_count.max != 1


def booleans_of(feature: schema_pb2.Feature) -> tuple[str, ...]:
    """How a text column with a `bool_domain` writes false and true; () for any other column."""
    if not _is_text(feature) or feature.WhichOneof("domain_info") != "bool_domain":
        return ()
    return (feature.bool_domain.false_value or "false", feature.bool_domain.true_value or "true")


def time_format_of(feature: schema_pb2.Feature) -> str:
    """The strftime format of dates in a text column with a `time_domain`; "" for any other column."""
    if not _is_text(feature) or feature.WhichOneof("domain_info") != "time_domain":
        return ""
    return feature.time_domain.string_format


def _is_text(feature: schema_pb2.Feature) -> bool:
    from tensorflow_metadata.proto.v0 import schema_pb2

    return bool(feature.type == schema_pb2.BYTES)


def known_texts(schema: schema_pb2.Schema, feature: schema_pb2.Feature) -> list[str] | None:
    """The values of a feature's domain of texts, its own or a shared one; None if it has none."""
    domain = feature.WhichOneof("domain_info")
    if booleans := booleans_of(feature):
        return list(booleans)
    if domain == "string_domain":
        return list(feature.string_domain.value)
    if domain == "domain":
        return next((list(shared.value) for shared in schema.string_domain if shared.name == feature.domain), None)
    return None


def classes_of(schema: schema_pb2.Schema, label: str) -> list[str]:
    """The label's classes, as text, in the order of its domain.

    Raises:
        InputError: the label has no domain.
    """
    feature = feature_of(schema, label)
    domain = feature.WhichOneof("domain_info")
    if (texts := known_texts(schema, feature)) is not None:
        return texts
    if domain == "int_domain":
        return [str(value) for value in range(feature.int_domain.min, feature.int_domain.max + 1)]
    if domain == "bool_domain":
        return [feature.bool_domain.false_value or "false", feature.bool_domain.true_value or "true"]
    raise InputError(
        f"{FILE_NAME}, feature {label!r}: the label needs its classes as a domain. "
        "Add int_domain { min: 0 max: 9 } or string_domain { value: ... }."
    )
