"""Changes to a span of taxi trips that are nobody's fault and nobody's business."""

from __future__ import annotations

import bz2
import gzip
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.catalogue.cases import (
    Case,
    Files,
    csv,
    every,
    number,
    one_file,
    put,
    renamed,
    set_some,
    table,
    text,
    with_data,
)


def _taken(order: Callable[[pa.Table], Any]) -> Callable[[pa.Table], Files]:
    return table(lambda trips: trips.take(pa.array(order(trips))))


def _in_files(trips: pa.Table) -> Files:
    parts = [trips.slice(start, 1000) for start in range(0, trips.num_rows, 1000)]
    return {f"part-{number}.csv": csv(part) for number, part in enumerate(parts)}


def _parquet(**options: Any) -> Callable[[pa.Table], Files]:
    def deliver(trips: pa.Table) -> Files:
        out = io.BytesIO()
        pq.write_table(trips, out, **options)
        return {"trips.parquet": out.getvalue()}

    return deliver


def _narrow(trips: pa.Table) -> Files:
    for name in ("trip_start_hour", "trip_start_day", "trip_start_month", "big_tipper", "pickup_community_area"):
        trips = put(trips, name, trips.column(name).cast(pa.int16()))
    trips = put(trips, "company", trips.column("company").dictionary_encode())
    return _parquet()(put(trips, "fare", trips.column("fare").cast(pa.float32())))


def _json_lines(trips: pa.Table) -> Files:
    rows = trips.to_pylist()
    return {"trips.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode()}


def _as_text(name: str, form: str) -> Callable[[pa.Table], Files]:
    return table(lambda trips: put(trips, name, [format(v, form) for v in trips.column(name).to_pylist()]))


def _more(trips: pa.Table, share: float) -> pa.Table:
    """More trips: some of the others, a little longer and an hour later."""
    more = trips.filter(pa.array(every(trips, round(1 / share))))
    more = put(more, "trip_start_hour", ((number(more, "trip_start_hour") + 1) % 24).astype(np.int64))
    return pa.concat_tables([trips, put(more, "trip_miles", number(more, "trip_miles") + 0.1)])


def _as(**fields: Any) -> Callable[[Any], Any]:
    return lambda workload: with_data(workload, **fields)


def _ignoring(*names: str) -> Callable[[Any], Any]:
    return lambda workload: with_data(workload, ignore=(*workload.data.ignore, *names))


def _with_id(name: str) -> Callable[[pa.Table], Files]:
    return table(lambda trips: trips.append_column(name, pa.array(np.arange(trips.num_rows))))


HARMLESS: tuple[Case, ...] = (
    Case("as it was", "the span as the city delivered it", table(lambda t: t)),
    # The file
    Case("several files", "eight files of up to 1,000 rows instead of one", _in_files),
    Case("another name", "the file has another name", lambda t: {"Taxi_Trips 2016 (2).csv": csv(t)}),
    Case("gzip", "compressed, with the ending .gz", lambda t: {"trips.csv.gz": gzip.compress(csv(t))}),
    Case("bzip2", "compressed, with the ending .bz2", lambda t: {"trips.csv.bz2": bz2.compress(csv(t))}),
    Case("quotes", "every text in quotes", lambda t: one_file(csv(t, quoting_style="all_valid"))),
    Case("CRLF", "lines end as on Windows", text(lambda b: b.replace(b"\n", b"\r\n"))),
    Case("no newline at the end", "the last line is not closed", text(lambda b: b.rstrip(b"\n"))),
    Case("blank lines at the end", "three of them", text(lambda b: b + b"\n\n\n")),
    Case("byte order mark", "UTF-8 as Excel writes it", text(lambda b: b"\xef\xbb\xbf" + b)),
    Case("marker files", "`_SUCCESS` and a hidden checksum lie beside", lambda t: {
        "trips.csv": csv(t), "_SUCCESS": b"", ".trips.csv.crc": b"\0\1"}),
    Case("Parquet", "the same rows as Parquet", _parquet(), of=_as(format="parquet")),
    Case("Parquet, small row groups", "100 rows a group, zstd, no dictionaries",
         _parquet(row_group_size=100, compression="zstd", use_dictionary=False), of=_as(format="parquet")),
    Case("Parquet, narrow types", "16-bit integers, 32-bit floats, dictionaries", _narrow, of=_as(format="parquet")),
    Case("JSON lines", "the same rows as JSON lines", _json_lines, of=_as(format="jsonl")),
    # Columns
    Case("columns in another order", "reversed", table(lambda t: t.select(t.column_names[::-1]))),
    Case("new column, allowed", "`trip_id`, which data.ignore names", _with_id("trip_id"), of=_ignoring("trip_id")),
    Case("new columns by pattern", "`_export_id`, which data.ignore covers by `_export_*`", _with_id("_export_id"),
         of=_ignoring("_export_*")),
    Case("ignored columns gone", "`tips` and the census tracts are not delivered any more",
         table(lambda t: t.drop(["tips", "pickup_census_tract", "dropoff_census_tract"]))),
    Case("ignored column renamed", "`trip_start_timestamp` is called `started`, which data.ignore names too",
         table(lambda t: renamed(t, {"trip_start_timestamp": "started"})), of=_ignoring("started")),
    # Rows
    Case("rows in another order", "shuffled", _taken(lambda t: np.random.default_rng(1).permutation(t.num_rows))),
    Case("rows sorted by label", "all passengers who tipped little come first",
         _taken(lambda t: np.argsort(number(t, "big_tipper"), kind="stable"))),
    Case("rows sorted by time", "by month, day and hour", table(lambda t: t.sort_by(
        [(f"trip_start_{one}", "ascending") for one in ("month", "day", "hour")]))),
    Case("5 % more rows", "further trips like these", table(lambda t: _more(t, 0.05))),
    Case("5 % fewer rows", "each twentieth row is not there", table(lambda t: t.filter(pa.array(~every(t, 20))))),
    Case("20 % fewer rows", "each fifth row is not there", table(lambda t: t.filter(pa.array(~every(t, 5))))),
    Case("a few doubles", "one row in 500 twice", table(lambda t: pa.concat_tables([t, t.filter(pa.array(every(t, 500)))]))),
    # Values
    Case("trailing zeros", "fares as 12.4500", _as_text("fare", ".4f")),
    Case("scientific notation", "fares as 1.245e+01", _as_text("fare", ".6e")),
    Case("leading zeros", "hours as 05", _as_text("trip_start_hour", "02d")),
    Case("another null", "missing values as NULL", table(lambda t: put(
        t, "dropoff_community_area", ["NULL" if v is None else str(v) for v in t.column("dropoff_community_area").to_pylist()]))),
    Case("a rare new category", "one trip in 250 is paid by `Mobile`", table(set_some("payment_type", 250, "Mobile"))),
    Case("a new company", "one trip in 50 is by `Sunrise Cab`", table(set_some("company", 50, "Sunrise Cab"))),
    Case("some values missing", "no pickup area in one trip of 200", table(set_some("pickup_community_area", 200, None))),
    Case("fares rise", "3 % dearer", table(lambda t: put(t, "fare", np.round(number(t, "fare") * 1.03, 2)))),
    Case("one long trip", "to Milwaukee and back for 420 dollars", table(lambda t: put(
        put(t, "fare", np.where(every(t, t.num_rows), 420.0, number(t, "fare"))),
        "trip_miles", np.where(every(t, t.num_rows), 184.0, number(t, "trip_miles"))))),
    Case("places to the metre", "coordinates move by up to a metre", table(lambda t: put(
        t, "pickup_latitude", number(t, "pickup_latitude") + np.random.default_rng(1).uniform(-1e-5, 1e-5, t.num_rows)))),
)  # fmt: skip
