"""Reads a suite's file as plain data and checks what can be checked without Great Expectations."""

from __future__ import annotations

import difflib
import json
import pathlib
import re
from collections.abc import Collection, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

from spec.errors import InputError

COLUMN_KWARGS = ("column", "column_A", "column_B")
_COLUMN_LISTS = ("column_list", "column_set")
_SUITE_FIELDS = frozenset({"name", "id", "expectations", "meta", "notes", "suite_parameters"})
_EXPECTATION_FIELDS = frozenset(
    {"type", "kwargs", "meta", "notes", "description", "severity", "id", "rendered_content", "success_on_last_run"}
)

MAX_FAILED_FRACTION = "max_failed_fraction"


def read_format(path: pathlib.Path, columns: AbstractSet[str] = frozenset(), text: str | None = None) -> dict[str, Any]:
    """Reads a native GX suite.

    Args:
        columns: those of the schema; empty: any column will do.
        text: what the file is to hold, where it is still to be written.

    Raises:
        InputError: it is not a suite; names the file and the place in it.
    """
    raw = _read_json(path, text)
    for number, one in enumerate(raw["expectations"]):
        place = f"{path}, $.expectations[{number}]"
        _check_shape(one, place)
        one["kwargs"] = _with_values(one["kwargs"], raw.get("suite_parameters") or {}, f"{place}.kwargs")
        _check_columns(one["kwargs"], columns, place)
        _check_values(one["kwargs"], place)
        _check_meta(one.get("meta"), place)
    return raw


def _with_values(value: Any, parameters: dict[str, Any], place: str) -> Any:
    """Replaces `{"$PARAMETER": name}` by the value in the suite's own parameters."""
    if isinstance(value, list):
        return [_with_values(one, parameters, f"{place}[{n}]") for n, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if "$PARAMETER" not in value:
        return {key: _with_values(one, parameters, f"{place}.{key}") for key, one in value.items()}
    name = value["$PARAMETER"]
    if not isinstance(name, str) or name not in parameters:
        raise InputError(
            f"{place}: the parameter {name!r} has no value. Write the value itself, or give it in the suite's "
            f"suite_parameters. Known: {', '.join(map(str, parameters)) or 'none'}."
        )
    return parameters[name]


def similar(name: str, known: Iterable[str]) -> str:
    """` Did you mean ...?` if a known name is similar."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def named_columns(kwargs: dict[str, Any]) -> list[tuple[str, str]]:
    """The columns that an expectation's arguments name, as (place, column)."""
    named = [(f"kwargs.{key}", kwargs[key]) for key in COLUMN_KWARGS if key in kwargs]
    for key in _COLUMN_LISTS:
        if isinstance(kwargs.get(key), list):
            named += [(f"kwargs.{key}[{n}]", column) for n, column in enumerate(kwargs[key])]
    return [(where, column) for where, column in named if isinstance(column, str)]


def names_any(expectation: dict[str, Any], columns: Collection[str]) -> list[str]:
    """Those of `columns` that an expectation's arguments or row condition name; all of them if it is about their number."""
    if expectation["type"].startswith("expect_table_column_count_"):
        return list(columns)
    kwargs = expectation["kwargs"]
    condition = json.dumps(kwargs.get("row_condition") or "", default=str, ensure_ascii=False)
    named = {column for _, column in named_columns(kwargs)}
    return [one for one in columns if one in named or re.search(rf"(?<!\w){re.escape(one)}(?!\w)", condition)]


def _read_json(path: pathlib.Path, text: str | None) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8") if text is None else text)
    except FileNotFoundError:
        raise InputError(
            f"{path}: there is no such file. `trainyard quality draft {path.parent.name}` writes one from the data, to read and "
            "edit."
        ) from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 at byte {error.start}. Save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{path}, line {error.lineno}, column {error.colno}: not valid JSON: {error.msg}.") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("expectations"), list):
        kind = type(raw).__name__
        raise InputError(f'{path}, $: expected a GX suite: {{"name": ..., "expectations": [...]}}. Received: {kind}.')
    _refuse_unknown(raw, _SUITE_FIELDS, f"{path}, $")
    return raw


def _check_shape(one: Any, place: str) -> None:
    if not isinstance(one, dict):
        raise InputError(f'{place}: expected {{"type": ..., "kwargs": {{...}}}}. Received: {one!r}.')
    _refuse_unknown(one, _EXPECTATION_FIELDS, place)
    if not isinstance(one.get("type"), str):
        raise InputError(
            f"{place}.type: is required, e.g. expect_column_values_to_not_be_null. Received: {one.get('type')!r}."
        )
    if not isinstance(one.get("kwargs"), dict):
        raise InputError(f'{place}.kwargs: is required, e.g. {{"column": "fare"}}. Received: {one.get("kwargs")!r}.')
    severity = one.get("severity", "critical")
    if severity not in ("critical", "warning", "info"):
        raise InputError(f"{place}.severity: must be critical, warning or info. Received: {severity!r}.")


def _refuse_unknown(section: dict[str, Any], known: AbstractSet[str], place: str) -> None:
    for field in section:
        if field not in known:
            raise InputError(
                f"{place}.{field}: there is no such field.{similar(field, known)} Known: {', '.join(sorted(known))}."
            )


def _check_columns(kwargs: dict[str, Any], columns: AbstractSet[str], place: str) -> None:
    for where, column in named_columns(kwargs):
        if columns and column not in columns:
            raise InputError(
                f"{place}.{where}: the schema has no column {column!r}.{similar(column, columns)} "
                f"Mend the name, or add the feature to schema.pbtxt."
            )


def _check_values(kwargs: dict[str, Any], place: str) -> None:
    """Checks values that GX accepts but fails on when it runs."""
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        raise InputError(f"{place}.kwargs.min_value: must not be above max_value. Received: {low} above {high}.")
    patterns = [("regex", kwargs.get("regex"))]
    if isinstance(kwargs.get("regex_list"), list):
        patterns += [(f"regex_list[{n}]", pattern) for n, pattern in enumerate(kwargs["regex_list"])]
    for where, pattern in patterns:
        if isinstance(pattern, str):
            try:
                re.compile(pattern)
            except re.error as error:
                raise InputError(
                    f"{place}.kwargs.{where}: not a regular expression: {error}. Received: {pattern!r}."
                ) from None


def _check_meta(meta: Any, place: str) -> None:
    """Checks the metadata that the gate reads."""
    if not isinstance(meta, dict):
        return
    share = meta.get(MAX_FAILED_FRACTION)
    if share is not None and (isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1):
        raise InputError(f"{place}.meta.{MAX_FAILED_FRACTION}: must lie between 0 and 1. Received: {share!r}.")
