"""Loads a suite's file into Great Expectations."""

from __future__ import annotations

import importlib
import os
import pathlib
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from components import user_code
from components.data_quality._running import import_gx, quiet
from components.data_quality.suite_format import MAX_FAILED_FRACTION, names_any, read_format, similar
from spec.errors import InputError
from spec.words import one_line

if TYPE_CHECKING:
    import great_expectations as gx


def read_suite(
    suite_file: str | os.PathLike[str],
    columns: AbstractSet[str],
    code: Sequence[str | os.PathLike[str]] = (),
    left_out: Collection[str] = (),
) -> gx.ExpectationSuite:
    """Reads a native GX suite and checks that it can be run.

    Args:
        suite_file: an ExpectationSuite as GX writes it; a `type` with a dot is the path of a class.
        columns: those of the schema; empty: any column will do.
        code: folders where modules of such classes are looked for, besides the suite's own.
        left_out: columns that are not read; expectations about them are left out.

    Raises:
        InputError: names the file and the place in it.
    """
    path = pathlib.Path(suite_file)
    raw = read_format(path, columns | set(left_out) if columns else columns)
    folders = [path.parent, *map(pathlib.Path, code)]
    expectations = []
    for number, one in enumerate(raw["expectations"]):
        place = f"{path}, $.expectations[{number}]"
        if names_any(one, left_out):
            continue
        if "." in one["type"]:
            one = {**one, "type": _load(one["type"], folders, place)}
        _check_buildable(one, place)
        expectations.append(one)
    with quiet():
        return import_gx().ExpectationSuite(
            **{**raw, "name": raw.get("name") or path.parent.name, "expectations": expectations}
        )


def _load(name: str, folders: Sequence[pathlib.Path], place: str) -> str:
    """Imports a class by its path, which registers it with GX; returns its type in GX."""
    gx = import_gx()
    module, _, title = name.rpartition(".")
    files = [folder.joinpath(*module.split(".")).with_suffix(".py") for folder in folders]
    file = next((one for one in files if one.is_file()), None)
    if file is not None:
        found: Any = user_code.load_function(str(file), title)
    else:
        try:
            found = getattr(importlib.import_module(module), title, None)
        except ImportError as error:
            looked = ", ".join(str(one) for one in files)
            raise InputError(f"{place}.type: there is no module {module!r} ({error}). Looked for: {looked}.") from None
    if not (isinstance(found, type) and issubclass(found, gx.expectations.Expectation)):
        raise InputError(f"{place}.type: {name} is no subclass of a Great Expectations' Expectation.")
    return str(found.expectation_type)  # type: ignore[attr-defined]


def _check_buildable(one: dict[str, Any], place: str) -> None:
    gx = import_gx()
    from great_expectations.expectations import expectation as kinds
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    kind = one["type"]
    try:
        implementation = get_expectation_impl(kind)
    except gx.exceptions.ExpectationNotFoundError:
        known = list_registered_expectation_implementations()
        raise InputError(f"{place}.type: GX has no expectation {kind!r}.{similar(kind, known)}") from None
    if issubclass(implementation, gx.expectations.UnexpectedRowsExpectation) or kind in _SQL:
        raise InputError(f"{place}.type: {kind} runs SQL, and the examples are Parquet files; use another expectation.")
    with quiet():
        try:
            gx.ExpectationSuite(name="one", expectations=[one])
        except Exception as error:  # GX raises pydantic's errors, its own, and an IndexError from its error handler
            raise InputError(f"{place}.{_explain(error)}") from None
    meta = one.get("meta") or {}
    of_rows = (kinds.ColumnMapExpectation, kinds.ColumnPairMapExpectation, kinds.MulticolumnMapExpectation)
    if meta.get(MAX_FAILED_FRACTION) is not None and not issubclass(implementation, of_rows):
        raise InputError(f"{place}.meta.{MAX_FAILED_FRACTION}: {kind} does not judge row by row. Remove it.")


_SQL = ("expect_query_results_to_match_comparison", "expect_table_row_count_to_equal_other_table")


def _explain(error: Exception) -> str:
    """The first problem of a pydantic error as `kwargs.field: what`; fields are unions, so one cause has several."""
    problems = error.errors() if hasattr(error, "errors") else []
    if not problems:
        return f"kwargs: GX refuses it: {one_line(error)}"
    first = problems[0]
    field = ".".join(str(part) for part in first["loc"] if part != "__root__")
    message = {"value_error.extra": "there is no such argument", "value_error.missing": "is required"}.get(
        first["type"], first["msg"]
    )
    return f"kwargs{'.' if field else ''}{field}: {message}."
