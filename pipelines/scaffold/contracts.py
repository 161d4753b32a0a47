"""The drafted schema.pbtxt: what must hold. What is expected, expectations.json, is drafted by quality.contracts."""

from __future__ import annotations

import math
from typing import Any

from components.tasks import Draft
from pipelines.scaffold.profiling import Column, Kind
from pipelines.scaffold.texts import yes_and_no

_EVAL_SHARE = 0.2  # the schema is held against each split, and the smaller one wavers most
_NEW_CATEGORIES = 0.05  # share of rows that may have a category which the schema does not know


def schema_text(columns: tuple[Column, ...], label: Draft, rows: int) -> str:
    """The schema in TFMD's text format, with the reasons as comments."""
    parts = [
        f"# Drafted from {rows:,} rows by `trainyard new`: read it, correct it, keep it in review.\n"
        "# A violation is an anomaly, and an anomaly stops the run. What is merely unusual is in expectations.json.\n"
    ]
    parts += [_feature(column, rows) for column in columns]
    if label.name is not None:
        parts.append(_label_feature(label.name, label))
    return "\n".join(parts)


def minimum_present(column: Column, rows: int) -> float:
    """The share of rows that must have a value: the observed one, less what chance does to the smaller split."""
    spread = math.sqrt(column.present * (1 - column.present) / max(1.0, _EVAL_SHARE * rows))
    return max(0.0, math.floor((column.present - 0.05 - 4 * spread) * 100) / 100)


def _feature(column: Column, rows: int) -> str:
    lines = [f"name: {quote(column.name)}", f"type: {column.dtype}"]
    if column.nullable:
        least = minimum_present(column, rows)
        comment = f"  # {column.present:.1%} of the rows had a value"
        lines.append(
            f"presence {{ min_fraction: {least:g} min_count: 1 }}{comment}" if least else f"presence {{}}{comment}"
        )
        lines.append("value_count { min: 1 max: 1 }")
    else:
        lines += ["presence { min_fraction: 1.0 min_count: 1 }", "shape {}"]
    if column.personal:
        lines.append('annotation { tag: "personal" }  # by the form of its texts: they are shown nowhere')
    if column.dtype == "FLOAT":
        lines.append("float_domain { disallow_inf: true }")
    if column.kind is Kind.IMAGE:
        lines.append("image_domain {}")
    elif column.format:
        comment = "  # in files; all that comes after ingestion has ISO 8601"
        lines.append(f"time_domain {{ string_format: {quote(column.format)} }}{comment}")
    elif column.kind is Kind.BOOLEAN:
        lines.append(_bool_domain(column.values))
    elif column.dtype == "BYTES" and column.values:
        lines += _string_domain(column.values)
        lines.append(
            f"distribution_constraints {{ min_domain_mass: {1 - _NEW_CATEGORIES:g} }}"
            "  # a few unknown ones may pass: features.py has a bucket for them"
        )
    return _block(lines)


def _label_feature(name: str, label: Draft) -> str:
    lines = [f"name: {quote(name)}  # the label", f"type: {label.dtype}"]
    many = "value_count {}  # any number of classes a row"
    lines += ["presence { min_fraction: 1.0 min_count: 1 }", many if label.is_list else "shape {}"]
    if not label.classes:
        lines.append("float_domain { disallow_nan: true disallow_inf: true }")
    elif label.dtype == "INT":
        lines.append(f"int_domain {{ min: {label.classes[0]} max: {label.classes[-1]} }}")
    elif not label.is_list and (pair := yes_and_no([str(one) for one in label.classes])):
        lines.append(_bool_domain(pair))
    else:
        lines += _string_domain(label.classes)
    return _block(lines)


def _bool_domain(pair: tuple[str, ...]) -> str:
    return f"bool_domain {{ true_value: {quote(pair[1])} false_value: {quote(pair[0])} }}"


def _string_domain(values: tuple[Any, ...]) -> list[str]:
    return ["string_domain {", *(f"  value: {quote(str(value))}" for value in values), "}"]


def _block(lines: list[str]) -> str:
    return "feature {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def quote(text: str) -> str:
    """A string in protobuf's text format."""
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(c) or (c if c.isprintable() else _octal(c)) for c in text) + '"'


def _octal(character: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8"))
