"""The drafted contracts: schema.pbtxt (what must hold) and expectations.json (what is expected)."""

from __future__ import annotations

import json
import math
from typing import Any

from pipelines.scaffold.labelling import Label
from pipelines.scaffold.profiling import Column, Kind
from pipelines.workload import Task

_EVAL_SHARE = 0.2  # the schema is held against each split, and the smaller one wavers most
_RANGE_HEADROOM = 0.25  # of the observed range, on each side
_NEW_CATEGORIES = 0.05  # share of rows that may have a category which the schema does not know


def schema_text(columns: tuple[Column, ...], label: Label, rows: int) -> str:
    """The schema in TFMD's text format, with the reasons as comments."""
    parts = [
        f"# Drafted from {rows:,} rows by `trainyard new`: read it, correct it, keep it in review.\n"
        "# A violation is an anomaly, and an anomaly stops the run. What is merely unusual is in expectations.json.\n"
    ]
    parts += [_feature(column, rows) for column in columns]
    parts.append(_label_feature(label))
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
    if column.dtype == "FLOAT":
        lines.append("float_domain { disallow_inf: true }")
    if column.dtype == "BYTES" and column.values:
        lines += _string_domain(column.values)
        lines.append(
            f"distribution_constraints {{ min_domain_mass: {1 - _NEW_CATEGORIES:g} }}"
            "  # a few unknown ones may pass: features.py has a bucket for them"
        )
    return _block(lines)


def _label_feature(label: Label) -> str:
    lines = [f"name: {quote(label.name)}  # the label", f"type: {label.dtype}"]
    lines += ["presence { min_fraction: 1.0 min_count: 1 }", "shape {}"]
    if label.task is Task.REGRESSION:
        lines.append("float_domain { disallow_nan: true disallow_inf: true }")
    elif label.dtype == "INT":
        lines.append(f"int_domain {{ min: {label.classes[0]} max: {label.classes[-1]} }}")
    else:
        lines += _string_domain(label.classes)
    return _block(lines)


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


def expectations_text(name: str, columns: tuple[Column, ...], label: Label, rows: int) -> str:
    """The suite as native Great Expectations JSON."""
    everything = [column.name for column in columns] + [label.name]
    expectations = [
        _expect(
            "expect_table_columns_to_match_set",
            "critical",
            "The columns that the model was built for.",
            column_set=everything,
            exact_match=True,
        ),
        _expect(
            "expect_table_row_count_to_be_between",
            "critical",  # a model that a handful of rows has judged has not been judged
            f"The first span had {rows:,} rows; less than a tenth is a delivery that was cut off.",
            min_value=max(1, rows // 10),
        ),
        _expect(
            "expect_table_row_count_to_be_between",
            "warning",
            f"The first span had {rows:,} rows; ten times as many is a delivery to look into.",
            max_value=rows * 10,
        ),
        *_for_label(label),
    ]
    for column in columns:
        expectations += _for_column(column, rows)
    meta = {"drafted_by": "trainyard new", "drafted_from_rows": rows}
    suite = {"name": name, "expectations": expectations, "meta": meta}
    return json.dumps(suite, indent=2, ensure_ascii=False) + "\n"


def _for_label(label: Label) -> list[dict[str, Any]]:
    name = label.name
    checks = [
        _expect(
            "expect_column_values_to_not_be_null", "critical", "A row without a label teaches nothing.", column=name
        )
    ]
    if label.task is not Task.REGRESSION:
        note = "The classes that the model knows; the domain in schema.pbtxt says the same."
        values = list(label.classes)
        checks.append(_expect("expect_column_values_to_be_in_set", "critical", note, column=name, value_set=values))
    else:
        checks.append(_range(name, label.low, label.high))
    return checks


def _for_column(column: Column, rows: int) -> list[dict[str, Any]]:
    name = column.name
    if column.nullable:
        note = f"{1 - column.present:.1%} were missing when this was drafted."
        least = minimum_present(column, rows)
        checks = [_expect("expect_column_values_to_not_be_null", "warning", note, column=name, mostly=least)]
    else:
        note = "None was missing when this was drafted."
        checks = [_expect("expect_column_values_to_not_be_null", "critical", note, column=name)]
    if column.kind is Kind.CARRIED:
        return checks
    if column.values:
        note = "A new value is counted as unknown by the model until it is trained on."
        values = list(column.values)
        checks.append(_expect("expect_column_values_to_be_in_set", "warning", note, column=name, value_set=values))
    elif column.low is not None and column.high is not None:
        checks.append(_range(name, column.low, column.high))
    elif column.longest:
        note = f"The longest had {column.longest} characters; far longer ones point to a broken file."
        limits = {"min_value": 1, "max_value": 2 * column.longest}
        checks.append(_expect("expect_column_value_lengths_to_be_between", "warning", note, column=name, **limits))
    return checks


def _range(name: str, low: float, high: float) -> dict[str, Any]:
    headroom = _RANGE_HEADROOM * (high - low)
    least, most = _rounded(low - headroom, math.floor), _rounded(high + headroom, math.ceil)
    if low >= 0 > least:
        least = 0  # what has never been negative is an amount
    note = f"Between {low:g} and {high:g} when this was drafted, and a quarter of that range on each side."
    limits = {"min_value": least, "max_value": most}
    return _expect("expect_column_values_to_be_between", "warning", note, column=name, **limits)


def _rounded(value: float, towards: Any) -> float:
    """Two significant digits, outwards: a bound that a person would write."""
    if value == 0:
        return 0
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{towards(value / unit) * unit:.6g}")


def _expect(kind: str, severity: str, notes: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "severity": severity, "notes": notes}
