"""Computes Great Expectations' metrics with Arrow, a column at a time; GX's own expectations judge them.

An expectation asks for metrics by name (`column_values.between.unexpected_count`) and derives its verdict, percentages and sample
from them, whichever engine has computed them. The rest (custom expectations, row conditions, several columns, value sets of
another type than the column) is left to GX's pandas engine.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import is_text
from components.data_quality._batch import Batch

_Arguments = Mapping[str, Any]
_Holds = Callable[[pa.ChunkedArray, _Arguments], pa.ChunkedArray]


class NotHere(Exception):
    """Arrow does not compute this metric, or not for this type."""


class ArrowMetrics:
    """Metrics of a batch. Ask column by column, because only the current column is cached."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._name = ""
        self._known: dict[Any, Any] = {}  # of the current column

    def of(self, expectation: Any, engine: Any, runtime: Mapping[str, Any]) -> dict[Any, Any]:
        """What `expectation.metrics_validate` takes.

        Raises:
            NotHere: it asks for something that another engine has to compute.
        """
        asked = expectation.get_validation_dependencies(execution_engine=engine, runtime_configuration=dict(runtime))
        return {one.id: self._metric(name, one) for name, one in asked.metric_configurations.items()}

    def _metric(self, name: str, asked: Any) -> Any:
        domain, arguments = asked.metric_domain_kwargs, asked.metric_value_kwargs
        if domain.get("row_condition"):
            raise NotHere(name)
        if name == "table.row_count":
            return self._batch.rows
        if name == "table.columns":
            return list(self._batch.columns)
        if domain.get("column") not in self._batch.columns:
            raise NotHere(name)
        if self._name != domain["column"]:
            self._known.clear()
            self._name = domain["column"]
        stem, _, what = name.rpartition(".")
        try:
            if stem == _PRESENT or stem in _HOLDS:
                return self._of_rows(stem, what, arguments)
            if name in _FIGURES:
                return self._figure(name, arguments)
            if name.startswith("column.distinct_values"):
                return _of_distinct(name, self._once("distinct", self._distinct), arguments)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError, TypeError) as error:
            raise NotHere(f"{name}: {error}") from error
        raise NotHere(name)

    def _once(self, key: Any, compute: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = compute()
        return self._known[key]

    def _column(self) -> pa.ChunkedArray:
        column = self._once("column", lambda: self._batch.column(self._name))
        if pa.types.is_nested(column.type):
            raise NotHere(str(column.type))
        return column

    def _missing(self) -> pa.ChunkedArray:
        return self._once("missing", lambda: pc.is_null(self._column(), nan_is_null=True))

    def _values(self) -> pa.ChunkedArray:
        return self._once("values", lambda: self._column().filter(pc.invert(self._missing())))

    def _distinct(self) -> list[Any]:
        return pc.unique(self._values()).to_pylist()  # type: ignore[no-any-return]

    def _figure(self, name: str, arguments: _Arguments) -> Any:
        values = self._values()
        if len(values) < 2 or not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise NotHere(f"{name} of {len(values)} values of {values.type}")
        return self._once((name, repr(arguments)), lambda: _FIGURES[name](values, arguments))

    def _of_rows(self, stem: str, what: str, arguments: _Arguments) -> Any:
        asked = {key: value for key, value in arguments.items() if key != "result_format"}
        broken = self._once((stem, repr(sorted(asked.items()))), lambda: self._broken(stem, asked))
        if what == "unexpected_count":
            return len(broken)
        if what == "unexpected_index_query":
            return None
        most = arguments["result_format"]["partial_unexpected_count"]
        if what == "unexpected_index_list":
            return broken[:most].tolist()
        if what == "unexpected_values":
            return self._column().take(pa.array(broken[:most], pa.int64())).to_pylist()
        raise NotHere(f"{stem}.{what}")

    def _broken(self, stem: str, arguments: _Arguments) -> npt.NDArray[np.int64]:
        """The rows that do not meet it; only `nonnull` looks at missing values."""
        if stem == _PRESENT:
            return _places(self._missing())
        broken = _places(pc.invert(_HOLDS[stem](self._values(), arguments)))
        if len(broken) and len(self._values()) < self._batch.rows:
            return _places(pc.invert(self._missing()))[broken]
        return broken


_PRESENT = "column_values.nonnull"


def _places(mask: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    if isinstance(mask, pa.ChunkedArray):
        mask = mask.combine_chunks()
    return pc.indices_nonzero(mask).to_numpy().astype(np.int64)


def _within(values: pa.ChunkedArray, arguments: _Arguments) -> pa.ChunkedArray:
    low, high = (_bound(arguments.get(key), values.type) for key in ("min_value", "max_value"))
    holds = []
    if low is not None:
        holds.append((pc.greater if arguments.get("strict_min") else pc.greater_equal)(values, low))
    if high is not None:
        holds.append((pc.less if arguments.get("strict_max") else pc.less_equal)(values, high))
    return holds[0] if len(holds) == 1 else pc.and_(*holds)


def _bound(value: Any, kind: pa.DataType) -> pa.Scalar | None:
    """A bound with the column's precision: 0.1 is not less than the 0.1 of a float32."""
    if value is None:
        return None
    if isinstance(value, datetime.date) and pa.types.is_string(kind):  # GX parses a bound in ISO 8601 as a date
        return pa.scalar(value.isoformat(), kind)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotHere(f"a bound of type {type(value).__name__}")
    return pa.scalar(value, kind if pa.types.is_floating(kind) else None)


def _between(values: pa.ChunkedArray, arguments: _Arguments) -> pa.ChunkedArray:
    # Texts are compared only with dates, because ISO 8601 sorts as text; `_bound` refuses anything else.
    if not (is_text(values.type) or pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise NotHere(f"between of {values.type}")
    return _within(values, arguments)


def _lengths(values: pa.ChunkedArray, arguments: _Arguments) -> pa.ChunkedArray:
    if not is_text(values.type):
        raise NotHere(f"lengths of {values.type}")
    return _within(pc.utf8_length(values), arguments)


def _regex(values: pa.ChunkedArray, arguments: _Arguments) -> pa.ChunkedArray:
    """Matches with Python's `re`, once per distinct text, so that patterns mean the same as in GX on pandas."""
    if not is_text(values.type):
        raise NotHere(f"regex of {values.type}")
    pattern = re.compile(arguments["regex"])
    parts = []
    for chunk in map(pc.dictionary_encode, values.chunks):  # encoded together, each chunk would carry the values of all
        holds = np.array([pattern.search(text) is not None for text in chunk.dictionary.to_pylist()], dtype=bool)
        parts.append(pa.array(holds[chunk.indices.to_numpy()] if len(holds) else np.zeros(0, dtype=bool)))
    return pa.chunked_array(parts, pa.bool_())


def _in_set(values: pa.ChunkedArray, arguments: _Arguments) -> pa.ChunkedArray:
    known = [one for one in arguments["value_set"] if one is not None]
    if not all(_is_of(one, values.type) for one in known):
        raise NotHere(f"a set of other values than {values.type}")
    return pc.is_in(values, pa.array(known, values.type))


def _is_of(value: Any, kind: pa.DataType) -> bool:
    """Whether a value is unchanged in the column's type; Arrow would turn 2.5 into 2."""
    if isinstance(value, bool):
        return False
    if pa.types.is_integer(kind):
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, int | float) if pa.types.is_floating(kind) else isinstance(value, str)


def _unique(values: pa.ChunkedArray, arguments: _Arguments) -> pa.ChunkedArray:
    counted = pc.value_counts(values.combine_chunks())
    repeated = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    return pc.invert(pc.is_in(values, repeated))


_HOLDS: dict[str, _Holds] = {
    "column_values.between": _between,
    "column_values.in_set": _in_set,
    "column_values.not_in_set": lambda values, arguments: pc.invert(_in_set(values, arguments)),
    "column_values.match_regex": _regex,
    "column_values.unique": _unique,
    "column_values.value_length.between": _lengths,
}
_FIGURES: dict[str, Callable[[pa.ChunkedArray, _Arguments], Any]] = {
    "column.mean": lambda values, _: pc.mean(values).as_py(),
    "column.median": lambda values, _: pc.quantile(values, 0.5)[0].as_py(),
    "column.standard_deviation": lambda values, _: pc.stddev(values, ddof=1).as_py(),
    "column.min": lambda values, _: pc.min(values).as_py(),
    "column.max": lambda values, _: pc.max(values).as_py(),
    "column.quantile_values": lambda values, arguments: pc.quantile(  # as GX asks pandas for them
        values, list(arguments["quantiles"]), interpolation="nearest"
    ).to_pylist(),
}


def _of_distinct(name: str, distinct: list[Any], arguments: _Arguments) -> Any:
    if name == "column.distinct_values":
        return set(distinct)
    if name == "column.distinct_values.count":
        return len(distinct)
    wanted = arguments.get("value_set")
    part = name.removeprefix("column.distinct_values.").removesuffix(".count")
    if wanted is None or part not in ("missing_from_column", "not_in_set"):
        raise NotHere(name)
    these, others = (wanted, set(distinct)) if part == "missing_from_column" else (distinct, set(wanted))
    found = [one for one in these if one not in others]
    return len(found) if name.endswith(".count") else found[: arguments.get("limit")]
