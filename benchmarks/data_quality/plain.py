"""The same checks as pyarrow and numpy expressions, as one would write them in a notebook.

Without a contract to review, evidence by row or a history, they show what the hardware allows.
Usage: python -m benchmarks.data_quality.plain DATA OUT.json
"""

from __future__ import annotations

import html
import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.data_quality.suite import Expectation, expectations
from benchmarks.pipeline.floor import statistics_of
from benchmarks.running import Stopwatch

_TENTHS = np.linspace(0.1, 0.9, 9)
_LIMIT = 0.25  # PSI

Found = tuple[bool, int | None]


def main(arguments: list[str]) -> int:
    data, out = map(pathlib.Path, arguments)
    watch = Stopwatch()
    splits = {name: _read(data / "examples" / f"Split-{name}") for name in ("train", "eval")}
    statistics = {name: statistics_of(split) for name, split in splits.items()}
    watch.lap("statistics")
    table = pa.concat_tables(splits.values())
    checks = {f"{one['type']}({one['kwargs'].get('column', '')})": _check(table, one) for one in expectations()}
    watch.lap("expectations")
    measures = _drift(table, json.loads((data / "baseline" / "profile.json").read_text())["distributions"][""])
    watch.lap("drift")
    page = out.with_suffix(".html")
    page.write_text(_page(statistics, checks, measures), encoding="utf-8")
    watch.lap("pages")
    drifted = sorted(name for name, found in measures.items() if found["psi"] > _LIMIT)
    out.write_text(json.dumps({"seconds": watch.seconds, "checks": checks, "drifted": drifted}), encoding="utf-8")
    return 0


def _read(folder: pathlib.Path) -> pa.Table:
    """Plain columns: TFX's lists of one value are unpacked."""
    stored = pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("*.parquet"))])
    return pa.table({name: _plain(stored.column(name)) for name in stored.column_names})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        column = pc.list_element(column, 0)
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.string())
    return column


def _check(table: pa.Table, expectation: Expectation) -> Found:
    kwargs = expectation["kwargs"]
    column = table.column(kwargs["column"]) if "column" in kwargs else None
    return _CHECKS[expectation["type"]](table, column, kwargs)


def _each(holds: Callable[[pa.ChunkedArray, dict[str, Any]], Any]) -> Callable[..., Found]:
    """A check of every value that is not missing; `holds` says for each whether it passes."""

    def check(table: pa.Table, column: pa.ChunkedArray, kwargs: dict[str, Any]) -> Found:
        return _mostly(pc.sum(pc.invert(holds(column, kwargs))).as_py(), len(column) - column.null_count, kwargs)

    return check


def _figure(of: Callable[[pa.ChunkedArray], Any]) -> Callable[..., Found]:
    """A check of one figure of a column."""

    def check(table: pa.Table, column: pa.ChunkedArray, kwargs: dict[str, Any]) -> Found:
        return kwargs["min_value"] <= of(column) <= kwargs["max_value"], None

    return check


def _mostly(unexpected: int | None, of: int, kwargs: dict[str, Any]) -> Found:
    return (unexpected or 0) <= (1 - kwargs.get("mostly", 1)) * of, unexpected or 0


def _between(values: Any, kwargs: dict[str, Any]) -> Any:
    return pc.and_(pc.greater_equal(values, kwargs["min_value"]), pc.less_equal(values, kwargs["max_value"]))


def _is_in(values: pa.ChunkedArray, kwargs: dict[str, Any]) -> Any:
    return pc.is_in(values.drop_null(), pa.array(kwargs["value_set"], values.type))


def _present(table: pa.Table, column: pa.ChunkedArray, kwargs: dict[str, Any]) -> Found:
    return _mostly(column.null_count, len(column), kwargs)


def _quantiles(table: pa.Table, column: pa.ChunkedArray, kwargs: dict[str, Any]) -> Found:
    ranges = kwargs["quantile_ranges"]
    found = pc.quantile(column, ranges["quantiles"], interpolation="nearest").to_pylist()
    return all(low <= v <= high for v, (low, high) in zip(found, ranges["value_ranges"], strict=True)), None


def _rows(table: pa.Table, column: None, kwargs: dict[str, Any]) -> Found:
    return len(table) >= kwargs["min_value"], None


def _a_at_least_b(table: pa.Table, column: None, kwargs: dict[str, Any]) -> Found:
    holds = pc.greater_equal(table.column(kwargs["column_A"]), table.column(kwargs["column_B"]))
    return _mostly(pc.sum(pc.invert(holds)).as_py(), len(table) - holds.null_count, kwargs)


def _unique_rows(table: pa.Table, column: None, kwargs: dict[str, Any]) -> Found:
    keys = table.select(kwargs["column_list"]).drop_null()
    counts = keys.group_by(kwargs["column_list"]).aggregate([([], "count_all")]).column("count_all")
    doubled = counts.filter(pc.greater(counts, 1))
    return _mostly(pc.sum(doubled).as_py(), len(keys), kwargs)


def _distinct(column: pa.ChunkedArray) -> set[Any]:
    return set(pc.unique(column.drop_null()).to_pylist())


_CHECKS: dict[str, Callable[..., Found]] = {
    "expect_table_row_count_to_be_between": _rows,
    "expect_column_values_to_not_be_null": _present,
    "expect_column_values_to_be_between": _each(_between),
    "expect_column_values_to_be_in_set": _each(_is_in),
    "expect_column_values_to_match_regex": _each(lambda c, k: pc.match_substring_regex(c, k["regex"])),
    "expect_column_value_lengths_to_be_between": _each(lambda c, k: _between(pc.utf8_length(c), k)),
    "expect_column_mean_to_be_between": _figure(lambda c: pc.mean(c).as_py()),
    "expect_column_median_to_be_between": _figure(lambda c: pc.quantile(c, 0.5)[0].as_py()),
    "expect_column_stdev_to_be_between": _figure(lambda c: pc.stddev(c, ddof=1).as_py()),
    "expect_column_min_to_be_between": _figure(lambda c: pc.min(c).as_py()),
    "expect_column_max_to_be_between": _figure(lambda c: pc.max(c).as_py()),
    "expect_column_unique_value_count_to_be_between": _figure(lambda c: pc.count_distinct(c).as_py()),
    "expect_column_distinct_values_to_contain_set": lambda t, c, k: (_distinct(c) >= set(k["value_set"]), None),
    "expect_column_distinct_values_to_equal_set": lambda t, c, k: (_distinct(c) == set(k["value_set"]), None),
    "expect_column_quantile_values_to_be_between": _quantiles,
    "expect_column_pair_values_a_to_be_greater_than_b": _a_at_least_b,
    "expect_compound_columns_to_be_unique": _unique_rows,
}


def _drift(table: pa.Table, before: dict[str, Any]) -> dict[str, dict[str, float]]:
    measures = {}
    for name in table.column_names:
        column, reference = table.column(name), before[name]
        known, missing = column.drop_null(), column.null_count
        total, total_before = len(column), reference.get("rows", 0) + reference["missing"]
        if "counts" in reference:
            total_before += sum(reference["counts"].values()) + reference["other"]
            counted = pc.value_counts(known)
            now = dict(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))
            names = list({**reference["counts"], **now})
            p = np.array([*(now.get(one, 0) for one in names), missing]) / total
            q = np.array([*(reference["counts"].get(one, 0) for one in names), reference["missing"]]) / total_before
            measures[name] = {**_distances(p, q, total, total_before), "l_infinity": float(np.max(np.abs(p - q)))}
            continue
        values, points = np.sort(known.to_numpy().astype(np.float64)), np.array(reference["values"])
        below_before = np.array(reference["below"])
        edges = np.unique(points[np.searchsorted(below_before, _TENTHS)]) if len(points) else points
        p, q = (
            np.append(np.diff(np.concatenate([[0.0], up_to, [1.0]])) * (all_of - gone), gone) / all_of
            for up_to, gone, all_of in (
                (np.searchsorted(values, edges, "right") / max(1, len(values)), missing, total),
                (below_before[np.searchsorted(points, edges)], reference["missing"], total_before),
            )
        )
        below = np.searchsorted(values, points, "right") / max(1, len(values))
        distance = float(np.max(np.abs(below - below_before), initial=0.0))
        measures[name] = {**_distances(p, q, total, total_before), "kolmogorov_smirnov": distance}
    return measures


def _distances(p: np.ndarray, q: np.ndarray, rows: int, rows_before: int) -> dict[str, float]:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(one > 0, one * np.log2(one / middle), 0.0).sum() for one in (p, q)]
    p, q = np.maximum(p, 0.5 / rows), np.maximum(q, 0.5 / rows_before)
    return {"psi": float(np.sum((p - q) * np.log(p / q))), "jensen_shannon": float(sum(parts) / 2)}


def _page(statistics: dict[str, Any], checks: dict[str, Found], measures: dict[str, dict[str, float]]) -> str:
    lines = [f"{name}: {found}" for part in (checks, measures, statistics["train"]) for name, found in part.items()]
    return "".join(f"<p>{html.escape(line)}</p>\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
