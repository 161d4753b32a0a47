"""Runs a suite on the examples: Arrow computes the metrics that it can, and GX on pandas the others.

GX on pandas filters the whole frame for every metric, and keeps all intermediate results: given 18 columns at once, 60
expectations on 10 million rows need more time and memory than a machine has. So most metrics are computed by Arrow, a column at a
time, and pandas gets only the columns that the other expectations name.
docs/decisions/0019-arrow-computes-gx-judges.md has the figures.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import json
import logging
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from components.data_quality._arrow import ArrowMetrics, NotHere
from components.data_quality._batch import Batch
from components.data_quality.suite_format import COLUMN_KWARGS

if TYPE_CHECKING:
    import great_expectations as gx
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

SAMPLE = 20  # unexpected values kept per expectation
_RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": SAMPLE}
_Results = dict[int, "ExpectationValidationResult"]  # by the expectation's place in the suite
# Columns are put into one frame up to this many values: few frames for few rows, small frames for many.
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

    _tell_columns_apart()
    return great_expectations


@functools.cache
def _tell_columns_apart() -> None:
    """Makes column names case-sensitive in GX, which looks them up as databases do: `Amount` and `amount` are two columns."""
    from great_expectations.expectations.metrics import util

    look_up = util._verify_column_names_exist_and_get_normalized_typed_column_names_map

    def exactly(
        column_names: list[str] | str,
        batch_columns_list: Sequence[str],
        *rest: Any,
        verify_only: bool = False,
        **more: Any,
    ) -> Any:
        names = [column_names] if isinstance(column_names, str) else list(column_names)
        if set(map(str, names)) <= set(map(str, batch_columns_list)):
            return None if verify_only else [(name, name) for name in names]
        return look_up(column_names, batch_columns_list, *rest, verify_only=verify_only, **more)

    util._verify_column_names_exist_and_get_normalized_typed_column_names_map = exactly


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences GX, which logs tracebacks of errors that it also raises or returns."""
    logger = logging.getLogger("great_expectations")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def paired_columns(suite: gx.ExpectationSuite) -> frozenset[str]:
    """Columns that the suite compares with each other."""
    kwargs = [one.configuration.kwargs for one in suite.expectations]
    return frozenset(k[name] for k in kwargs if "column_A" in k for name in ("column_A", "column_B") if name in k)


def columns_of(kind: str, kwargs: Mapping[str, Any], columns: Collection[str]) -> frozenset[str] | None:
    """Those of `columns` whose values an expectation needs; None: it needs only the columns' names."""
    if kind in _OF_NAMES:
        return None
    named = {kwargs[key] for key in COLUMN_KWARGS if key in kwargs} | set(kwargs.get("column_list") or ())
    if condition := kwargs.get("row_condition"):
        text = json.dumps(condition, default=str)
        named |= {column for column in columns if column in text}
    if not named and kind not in _OF_ROWS:
        return frozenset(columns)  # all of them, because it does not say
    return frozenset(named) & frozenset(columns)


def validate(suite: gx.ExpectationSuite, batch: Batch) -> ExpectationSuiteValidationResult:
    """Runs a suite; the results are GX's own, in the suite's order."""
    gx = import_gx()
    from great_expectations import __version__
    from great_expectations.validator.validation_statistics import calc_validation_statistics

    results = _by_arrow(suite, batch)
    results |= _by_pandas(suite, batch, [place for place in range(len(suite.expectations)) if place not in results])
    ordered = [results[place] for place in range(len(suite.expectations))]
    counted = calc_validation_statistics(ordered)._asdict()
    return gx.core.ExpectationSuiteValidationResult(
        success=bool(counted.pop("success")),
        results=ordered,
        suite_name=suite.name,
        statistics=counted,
        meta={"great_expectations_version": __version__},
    )


def _by_arrow(suite: gx.ExpectationSuite, batch: Batch) -> _Results:
    """The expectations that Arrow can serve, column by column."""
    from great_expectations.execution_engine import PandasExecutionEngine

    engine, metrics = PandasExecutionEngine(), ArrowMetrics(batch)
    results: _Results = {}
    configurations = [one.configuration for one in suite.expectations]
    for place in sorted(range(len(configurations)), key=lambda n: str(configurations[n].kwargs.get("column", ""))):
        expectation = suite.expectations[place]
        runtime = {"result_format": dict(_RESULT_FORMAT)}
        try:
            with quiet():
                found = metrics.of(expectation, engine, runtime)
                results[place] = expectation.metrics_validate(
                    found, runtime_configuration=runtime, execution_engine=engine
                )
        except NotHere:
            continue
        except Exception:  # GX on pandas reports the error in its result
            logging.getLogger(__name__).debug("%s is left to pandas", configurations[place].type, exc_info=True)
            continue
        results[place].expectation_config = configurations[place]
    return results


def _by_pandas(suite: gx.ExpectationSuite, batch: Batch, places: Sequence[int]) -> _Results:
    """The others by GX's own engine, a few columns at a time."""
    gx = import_gx()
    results: _Results = {}
    if not places:
        return results
    with quiet():
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        definition = (
            context.data_sources.add_pandas("examples")
            .add_dataframe_asset(suite.name)
            .add_batch_definition_whole_dataframe("all rows")
        )
        for columns, together in _together(suite, batch, places):
            frame = batch.header() if columns is None else batch.frame(columns)
            part = gx.ExpectationSuite(name=suite.name)
            part.expectations = [_numbered(suite.expectations[place], place) for place in together]
            found = definition.get_batch({"dataframe": frame}).validate(part, result_format=dict(_RESULT_FORMAT))
            for one in found.results:
                place = int(one.expectation_config.id)
                one.expectation_config.id = suite.expectations[place].id
                results[place] = one
    return results


def _numbered(expectation: Any, place: int) -> Any:
    """A copy with its place as id: GX sorts the results, and two may have the same type and column."""
    numbered = copy.deepcopy(expectation)
    numbered.id = str(place)
    return numbered


def alike(columns: Collection[str]) -> bool:
    """Whether some names differ only in case: of two such columns in one frame, GX uses the first for both."""
    return len({name.lower() for name in columns}) < len(columns)


def _together(
    suite: gx.ExpectationSuite, batch: Batch, places: Sequence[int]
) -> Iterator[tuple[frozenset[str] | None, Sequence[int]]]:
    """Groups of columns for one frame, with the expectations that need them."""
    by_columns: dict[frozenset[str] | None, list[int]] = {}
    for place in places:
        one = suite.expectations[place].configuration
        by_columns.setdefault(columns_of(one.type, one.kwargs, batch.columns), []).append(place)
    most = max(1, _CELLS // max(1, batch.rows))
    columns: frozenset[str] = frozenset()
    gathered: list[int] = []
    for needed, expectations in by_columns.items():
        if needed is None:
            yield None, expectations
            continue
        if gathered and (len(columns | needed) > most or alike(columns | needed)):
            yield columns, gathered
            columns, gathered = frozenset(), []
        columns, gathered = columns | needed, [*gathered, *expectations]
    if gathered:
        yield columns, gathered
