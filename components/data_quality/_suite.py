"""Reading a suite, holding it against the schema, and running it."""

from __future__ import annotations

import contextlib
import difflib
import json
import logging
import os
import pathlib
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from google.protobuf import text_format

from components.errors import InputError

if TYPE_CHECKING:
    import great_expectations as gx
    import pandas as pd
    from great_expectations.core import ExpectationSuiteValidationResult

SAMPLE = 20  # unexpected values that are kept of each expectation
_COLUMN_KWARGS = ("column", "column_A", "column_B")
_COLUMN_LISTS = ("column_list", "column_set")
_SUITE_FIELDS = frozenset({"name", "id", "expectations", "meta", "notes", "suite_parameters"})
_EXPECTATION_FIELDS = frozenset(
    {"type", "kwargs", "meta", "notes", "description", "severity", "id", "rendered_content", "success_on_last_run"}
)


def import_gx() -> Any:
    """Great Expectations, without telemetry."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


def schema_columns(schema_uri: str) -> frozenset[str]:
    """The columns that a Schema artifact names."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    path = pathlib.Path(schema_uri) / "schema.pbtxt"
    schema = text_format.Parse(path.read_text(encoding="utf-8"), schema_pb2.Schema())
    return frozenset(feature.name for feature in schema.feature)


def read_suite(suite_file: str | os.PathLike[str], columns: AbstractSet[str]) -> gx.ExpectationSuite:
    """Reads a native GX suite and checks that it can be run.

    Args:
        suite_file: an ExpectationSuite as GX writes it.
        columns: those of the schema; empty: any column will do.

    Raises:
        InputError: names the file and the place in it.
    """
    path = pathlib.Path(suite_file)
    raw = _read_json(path)
    for number, one in enumerate(raw["expectations"]):
        place = f"{path}, $.expectations[{number}]"
        _check_shape(one, place)
        _check_columns(one["kwargs"], columns, place)
        _check_values(one["kwargs"], place)
        _check_buildable(one, place)
    with _quiet():
        return import_gx().ExpectationSuite(**{**raw, "name": raw.get("name") or path.parent.name})


def paired_columns(suite: gx.ExpectationSuite) -> frozenset[str]:
    """Columns that the suite compares with each other."""
    kwargs = [one.configuration.kwargs for one in suite.expectations]
    return frozenset(k[name] for k in kwargs if "column_A" in k for name in ("column_A", "column_B") if name in k)


def wanted_columns(suite: gx.ExpectationSuite) -> frozenset[str] | None:
    """Columns that the suite looks at; None: all of them, as far as one can tell."""
    wanted: set[str] = set()
    for one in suite.expectations:
        kwargs = one.configuration.kwargs
        named = [kwargs[key] for key in _COLUMN_KWARGS if key in kwargs] + list(kwargs.get("column_list") or ())
        of_rows = one.configuration.type.startswith("expect_table_row_count_")
        if kwargs.get("row_condition") or not (named or of_rows) or "table_column" in one.configuration.type:
            return None
        wanted.update(named)
    return frozenset(wanted)


def validate(suite: gx.ExpectationSuite, frame: pd.DataFrame) -> ExpectationSuiteValidationResult:
    """Runs a suite on a frame, in memory."""
    gx = import_gx()
    with _quiet():
        context = gx.get_context(mode="ephemeral")
        asset = context.data_sources.add_pandas("examples").add_dataframe_asset(suite.name)
        batch = asset.add_batch_definition_whole_dataframe("all rows").get_batch({"dataframe": frame})
        context.variables.progress_bars = {"globally": False}
        result_format = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE}
        return batch.validate(context.suites.add(suite), result_format=result_format)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """GX logs tracebacks of what it also raises or returns."""
    logger = logging.getLogger("great_expectations")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _read_json(path: pathlib.Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file. Add a GX suite (docs/guides/data-quality.md).") from None
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
                f"{place}.{field}: there is no such field.{_similar(field, known)} Known: {', '.join(sorted(known))}."
            )


def _check_columns(kwargs: dict[str, Any], columns: AbstractSet[str], place: str) -> None:
    if not columns:
        return
    named = [(f"kwargs.{key}", kwargs[key]) for key in _COLUMN_KWARGS if key in kwargs]
    for key in _COLUMN_LISTS:
        if isinstance(kwargs.get(key), list):
            named += [(f"kwargs.{key}[{n}]", column) for n, column in enumerate(kwargs[key])]
    for where, column in named:
        if isinstance(column, str) and column not in columns:
            raise InputError(
                f"{place}.{where}: the schema has no column {column!r}.{_similar(column, columns)} "
                f"Mend the name, or add the feature to schema.pbtxt."
            )


def _check_values(kwargs: dict[str, Any], place: str) -> None:
    """What GX takes and then trips over when it runs."""
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


def _check_buildable(one: dict[str, Any], place: str) -> None:
    gx = import_gx()
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    kind = one["type"]
    try:
        implementation = get_expectation_impl(kind)
    except gx.exceptions.ExpectationNotFoundError:
        known = list_registered_expectation_implementations()
        raise InputError(f"{place}.type: GX has no expectation {kind!r}.{_similar(kind, known)}") from None
    if issubclass(implementation, gx.expectations.UnexpectedRowsExpectation):
        raise InputError(f"{place}.type: {kind} runs SQL, and the examples are Parquet files; use another expectation.")
    with _quiet():
        try:
            gx.ExpectationSuite(name="one", expectations=[one])
        except Exception as error:  # GX raises pydantic's errors, its own, and an IndexError of its handler
            raise InputError(f"{place}.{_explain(error)}") from None


def _explain(error: Exception) -> str:
    """The first problem of a pydantic error as `kwargs.field: what`; fields are unions, so one cause has several."""
    problems = error.errors() if hasattr(error, "errors") else []
    if not problems:
        return f"kwargs: GX refuses it: {' '.join(str(error).split())}"
    first = problems[0]
    field = ".".join(str(part) for part in first["loc"] if part != "__root__")
    message = {"value_error.extra": "there is no such argument", "value_error.missing": "is required"}.get(
        first["type"], first["msg"]
    )
    return f"kwargs{'.' if field else ''}{field}: {message}."


def _similar(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
