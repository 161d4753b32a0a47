"""Runs a suite on the examples, a few columns at a time.

GX on pandas copies the frame that it is given for every metric, and keeps what it computed until the last one is done. Given
all columns at once, 60 expectations on 10 million rows need more memory than most machines have; given the columns that an
expectation looks at, each copy is small, and gone with its columns. docs/decisions/0018-suite-by-columns.md has the figures.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from components.data_quality._batch import Batch

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

SAMPLE = 20  # unexpected values that are kept of each expectation
COLUMN_KWARGS = ("column", "column_A", "column_B")
# Columns are looked at together up to so many values: few frames where rows are few, small ones where they are many.
_CELLS = 1_000_000
_OF_ROWS = frozenset({"expect_table_row_count_to_be_between", "expect_table_row_count_to_equal"})
_OF_NAMES = frozenset(
    {
        "expect_column_to_exist",
        "expect_table_column_count_to_be_between",
        "expect_table_column_count_to_equal",
        "expect_table_columns_to_match_ordered_list",
        "expect_table_columns_to_match_set",
    }
)


def import_gx() -> Any:
    """Great Expectations, without telemetry."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations

    return great_expectations


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """GX logs tracebacks of what it also raises or returns."""
    logger = logging.getLogger("great_expectations")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


@dataclasses.dataclass(frozen=True)
class Validation:
    """What a suite found.

    Attributes:
        native: GX's own result, in the suite's order.
        failing: by an expectation's place in the suite, the rows in which it does not hold; of those asked for alone.
    """

    native: ExpectationSuiteValidationResult
    failing: Mapping[int, npt.NDArray[np.int64]]


def paired_columns(suite: gx.ExpectationSuite) -> frozenset[str]:
    """Columns that the suite compares with each other."""
    kwargs = [one.configuration.kwargs for one in suite.expectations]
    return frozenset(k[name] for k in kwargs if "column_A" in k for name in ("column_A", "column_B") if name in k)


def columns_of(kind: str, kwargs: Mapping[str, Any], columns: Collection[str]) -> frozenset[str] | None:
    """Those of `columns` whose values an expectation looks at; None: it looks at the columns' names alone.

    Args:
        kind: GX's type.
        kwargs: its arguments.
        columns: all that there are.
    """
    if kind in _OF_NAMES:
        return None
    named = {kwargs[key] for key in COLUMN_KWARGS if key in kwargs} | set(kwargs.get("column_list") or ())
    if condition := kwargs.get("row_condition"):
        text = json.dumps(condition, default=str)
        named |= {column for column in columns if column in text}
    if not named and kind not in _OF_ROWS:
        return frozenset(columns)  # as far as one can tell
    return frozenset(named) & frozenset(columns)


def validate(suite: gx.ExpectationSuite, batch: Batch, rows_of: Collection[int] = ()) -> Validation:
    """Runs a suite.

    Args:
        suite: native.
        batch: the rows.
        rows_of: places in the suite of the expectations whose failing rows are wanted, all of them.
    """
    gx = import_gx()
    from great_expectations.validator.validation_statistics import calc_validation_statistics

    results: dict[int, ExpectationValidationResult] = {}
    failing: dict[int, npt.NDArray[np.int64]] = {}
    meta: dict[str, Any] = {}
    with quiet():
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        definition = (
            context.data_sources.add_pandas("examples")
            .add_dataframe_asset(suite.name)
            .add_batch_definition_whole_dataframe("all rows")
        )
        for columns, places in _together(suite, batch):
            frame = batch.header() if columns is None else batch.frame(columns)
            for wanted in (False, True):
                chosen = [place for place in places if (place in rows_of) is wanted]
                if not chosen:
                    continue
                part = gx.ExpectationSuite(name=suite.name)
                part.expectations = [_numbered(suite.expectations[place], place) for place in chosen]
                found = definition.get_batch({"dataframe": frame}).validate(part, result_format=_format(wanted))
                meta = meta or found.meta
                for one in found.results:
                    place = int(one.expectation_config.id)
                    one.expectation_config.id = suite.expectations[place].id
                    results[place] = one
                    if wanted:
                        failing[place] = _take_rows(one.result)
    ordered = [results[place] for place in range(len(suite.expectations))]
    counted = calc_validation_statistics(ordered)._asdict()
    success = bool(counted.pop("success"))
    native = gx.core.ExpectationSuiteValidationResult(
        results=ordered, success=success, suite_name=suite.name, statistics=counted, meta=meta
    )
    return Validation(native, failing)


def _numbered(expectation: Any, place: int) -> Any:
    """A copy that is known again in the results: GX sorts them, and two may have the same type and column."""
    numbered = copy.deepcopy(expectation)
    numbered.id = str(place)
    return numbered


def _format(complete: bool) -> dict[str, Any]:
    return {"result_format": "COMPLETE" if complete else "SUMMARY", "partial_unexpected_count": SAMPLE}


def _take_rows(found: dict[str, Any]) -> npt.NDArray[np.int64]:
    """All rows in which an expectation does not hold; they are taken out of GX's result, which keeps its sample of them."""
    rows = found.pop("unexpected_index_list", None) or []
    found.pop("unexpected_list", None)
    found.pop("unexpected_index_query", None)
    if "partial_unexpected_index_list" not in found and rows:
        found["partial_unexpected_index_list"] = list(rows[:SAMPLE])
    return np.asarray(rows, dtype=np.int64)


def _together(suite: gx.ExpectationSuite, batch: Batch) -> Iterator[tuple[frozenset[str] | None, Sequence[int]]]:
    """Which columns to look at together, and the expectations that then can be judged."""
    by_columns: dict[frozenset[str] | None, list[int]] = {}
    for place, one in enumerate(suite.expectation_configurations):
        by_columns.setdefault(columns_of(one.type, one.kwargs, batch.columns), []).append(place)
    most = max(1, _CELLS // max(1, batch.rows))
    columns: frozenset[str] = frozenset()
    places: list[int] = []
    for needed, expectations in by_columns.items():
        if needed is None:
            yield None, expectations
            continue
        if places and len(columns | needed) > most:
            yield columns, places
            columns, places = frozenset(), []
        columns, places = columns | needed, [*places, *expectations]
    if places:
        yield columns, places
