"""Damage to a span of taxi trips, one kind at a time, and the checks that have to find it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.catalogue.cases import (
    Case,
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
    words,
)


def _scaled(name: str, factor: float, digits: int = 2) -> Any:
    return lambda trips: put(trips, name, np.round(number(trips, name) * factor, digits))


def _swapped(a: str, b: str) -> Any:
    return lambda trips: put(put(trips, a, trips.column(b)), b, trips.column(a))


def _in_cents_by_card(trips: pa.Table) -> pa.Table:
    by_card = pc.equal(trips.column("payment_type"), "Credit Card").to_numpy()
    return put(trips, "fare", np.where(by_card, number(trips, "fare") * 100, number(trips, "fare")))


def _later(trips: pa.Table) -> pa.Table:
    return put(trips, "trip_start_hour", ((number(trips, "trip_start_hour") + 6) % 24).astype(np.int64))


def _twelve_hours(trips: pa.Table) -> pa.Table:
    return put(trips, "trip_start_hour", ((number(trips, "trip_start_hour") + 11) % 12 + 1).astype(np.int64))


def _weekdays(trips: pa.Table) -> pa.Table:
    day = number(trips, "trip_start_day")
    return trips.filter(pa.array((day > 1) & (day < 7)))


def _doubled(trips: pa.Table) -> pa.Table:
    return pa.concat_tables([trips, trips.filter(pa.array(every(trips, 10)))])


def _shuffled(name: str) -> Any:
    return lambda trips: put(
        trips, name, trips.column(name).take(pa.array(np.random.default_rng(1).permutation(trips.num_rows)))
    )


def _fewer_positives(trips: pa.Table) -> pa.Table:
    positive = number(trips, "big_tipper") == 1
    return trips.filter(pa.array(~positive | every(trips, 5)))


def _told_by_payment(trips: pa.Table) -> pa.Table:
    return put(trips, "payment_type", np.where(number(trips, "big_tipper") == 1, "Credit Card", "Cash"))


def _test_in_train(trips: pa.Table) -> pa.Table:
    side = np.where(every(trips, 5), "test", "train")
    both = trips.append_column("side", pa.array(side))
    leaked = both.filter(pa.array(every(trips, 20)))
    leaked = put(leaked, "side", ["train"] * leaked.num_rows)
    return pa.concat_tables([both, leaked])


def _split_by_column(workload: Any) -> Any:
    return with_data(workload, split=workload.data.split.model_copy(update={"column": "side"}))


def _each(name: str, form: Callable[[Any], str]) -> Callable[[pa.Table], pa.Table]:
    """A column as texts of another form; missing ones stay so."""
    return lambda trips: put(trips, name, [None if v is None else form(v) for v in trips.column(name).to_pylist()])


def _with_twin(trips: pa.Table) -> pa.Table:
    both = trips.append_column("fare_again", trips.column("fare"))
    return renamed(both, {"fare_again": "fare"})


def _header_again(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join([*lines[:3000], lines[0], *lines[3000:]])


# The names of checks, which are long.
_INGESTION = "ColumnarExampleGen"
_MEAN = "DataQuality expect_column_mean_to_be_between"
_MEDIAN = "DataQuality expect_column_median_to_be_between"
_BETWEEN = "DataQuality expect_column_values_to_be_between"
_IN_SET = "DataQuality expect_column_values_to_be_in_set"
_HAS_SET = "DataQuality expect_column_distinct_values_to_contain_set"
_IS_SET = "DataQuality expect_column_distinct_values_to_equal_set"
_DEARER = "DataQuality expect_column_pair_values_a_to_be_greater_than_b(fare, trip_miles)"
_UNIQUE = (
    "DataQuality expect_compound_columns_to_be_unique(fare, trip_miles, trip_seconds, trip_start_month, trip_start_day, "
    "trip_start_hour, pickup_latitude, pickup_longitude, dropoff_latitude, dropoff_longitude, company, payment_type)"
)

DAMAGE: tuple[Case, ...] = (
    # The file
    Case("truncated file", "the last third is missing, in the middle of a row",
         text(lambda b: b[: b.rindex(b",", 0, len(b) * 2 // 3)]),
         (_INGESTION,), says="row 5014: CSV parse error: Expected 19 columns, got 14"),
    Case("wrong delimiter", "semicolons", lambda t: one_file(csv(t, delimiter=";")),
         (_INGESTION,), says="column 'fare' is missing (and 14 more). Received: pickup_community_area;fare;"),
    Case("header repeated", "the header stands among the rows again", text(_header_again),
         (_INGESTION,), says="row 3000, column 'fare': the schema's type does not fit: double: invalid value 'fare'"),
    Case("unclosed quote", "a quote is opened before a company's name", text(lambda b: b.replace(b",Taxi Affil", b',"Taxi Affil', 1)),
         (_INGESTION,), says="row 8: CSV parse error: Expected 19 columns, got 15"),
    Case("UTF-16", "as Windows calls Unicode", text(lambda b: b.decode().encode("utf-16")),
         (_INGESTION,), says="is UTF-16. Received: a file that begins with ff fe. Save it as UTF-8."),
    Case("Latin-1", "one company's name has an umlaut in Latin-1",
         lambda t: one_file(csv(words(t, "company", lambda v: v.replace("Choice", "Chöice"))).decode().encode("latin-1")),
         (_INGESTION,), says="column 'company': is not UTF-8 text. Save the file as UTF-8"),
    Case("compressed, not named so", "gzip in a file called .csv", text(gzip.compress),
         (_INGESTION,), says="a compressed one needs its ending"),
    Case("zero byte", "in a company's name", text(lambda b: b.replace(b"Choice", b"Ch\0ice", 1)),
         (_INGESTION,), says="row 55, column 'company': holds a zero byte, which no text has"),
    Case("empty file", "no bytes", text(lambda b: b""), (_INGESTION,), says="the file is empty (0 bytes)"),
    Case("header alone", "no rows", text(lambda b: b.splitlines(keepends=True)[0]),
         (_INGESTION,), says="the file has no rows"),
    # Columns
    Case("dropped column", "`fare` is not there", table(lambda t: t.drop(["fare"])),
         (_INGESTION,), says="column 'fare' is missing"),
    Case("renamed column", "`trip_miles` is called `trip_distance`",
         table(lambda t: renamed(t, {"trip_miles": "trip_distance"})), (_INGESTION,), says="column 'trip_miles' is missing"),
    Case("unknown column", "`driver_id`, which neither schema nor data.ignore names",
         table(lambda t: t.append_column("driver_id", pa.array(np.arange(t.num_rows)))),
         (_INGESTION,), says="column 'driver_id' is not in the schema"),
    Case("column twice", "two columns are called `fare`", table(_with_twin), (_INGESTION,), says="column 'fare' appears twice"),
    Case("swapped places", "latitude and longitude", table(_swapped("pickup_latitude", "pickup_longitude")),
         ("ExampleValidator pickup_latitude", "ExampleValidator pickup_longitude"),
         says="Unexpectedly low values: -87.9136<41.6", shows="-87.7"),
    Case("swapped amounts", "fares and miles", table(_swapped("fare", "trip_miles")),
         (_DEARER, f"{_MEAN}(fare)"),
         says="7,477 of 7,500 values do not (99.7 %), e.g. [6.9, 16.45] (train row 0)", shows='"row": 0, "value": [6.9, 16.45]'),
    Case("swapped day and month", "of the start", table(_swapped("trip_start_day", "trip_start_month")),
         ("ExampleValidator trip_start_day",), (f"{_IS_SET}(trip_start_day)",), "Unexpectedly large value: 12", '"value": 12'),
    # Missing values, and what stands for them
    Case("nulls at 1 %", "no fare in one row of 100", table(set_some("fare", 100, None)),
         (_INGESTION,), says="row 1, column 'fare': has no value (75 in this block), and the schema requires one"),
    Case("nulls at 5 %", "no pickup area in one row of 20, where one of 100 may lack it",
         table(set_some("pickup_community_area", 20, None)),
         ("ExampleValidator pickup_community_area",), says="minimum fraction = 0.990000, actual = 0.948", shows='"value": null'),
    Case("column of nulls", "no company at all", table(lambda t: put(t, "company", pa.nulls(t.num_rows, pa.string()))),
         ("ExampleValidator company", f"{_HAS_SET}(company)"), ("DataQuality expect_column_values_to_not_be_null(company)",),
         "The feature was not present in any examples", '"value": null'),
    Case("NaN", "miles that are not a number in one row of 100", table(set_some("trip_miles", 100, float("nan"))),
         (_INGESTION,), says="column 'trip_miles': has no value (75 in this block)"),
    Case("infinity", "an infinite fare in one row of 500", table(set_some("fare", 500, float("inf"))),
         ("ExampleValidator fare", f"{_MEAN}(fare)"), says="Float feature has Inf values", shows="Infinity"),
    Case("sentinel -999", "for missing seconds, in one row of 200", table(set_some("trip_seconds", 200, -999)),
         ("ExampleValidator trip_seconds",), (f"{_BETWEEN}(trip_seconds)",), "Unexpectedly small value: -999", '"value": -999'),
    Case("sentinel 0", "for missing areas, in one row of 33", table(set_some("dropoff_community_area", 33, 0)),
         ("ExampleValidator dropoff_community_area",), says="Unexpectedly small value: 0", shows='"value": 0'),
    Case("places at 0, 0", "for unknown ones, in one row of 200", table(set_some("pickup_latitude", 200, 0.0)),
         ("ExampleValidator pickup_latitude",), says="Unexpectedly low values: 0<41.6", shows='"value": 0.0'),
    # Units and numbers
    Case("unit x1000", "metres for kilometres, say: miles times 1,000", table(_scaled("trip_miles", 1000)),
         (_DEARER, f"{_MEAN}(trip_miles)"), (f"{_BETWEEN}(trip_miles)", "DriftDetector drift(trip_miles)"),
         "6,070 of 7,500 values do not (80.9 %)", "6900"),
    Case("cents for dollars", "fares times 100", table(_scaled("fare", 100)),
         (f"{_MEAN}(fare)",), (f"{_BETWEEN}(fare)", "DriftDetector drift(fare)"), "it is 1209.17", "1209.17"),
    Case("minutes for seconds", "trips of 9 for trips of 540",
         table(lambda t: put(t, "trip_seconds", pc.divide(t.column("trip_seconds"), 60))),
         (f"{_MEDIAN}(trip_seconds)",), ("DriftDetector drift(trip_seconds)",), "it is 10", '"observed_value": 10'),
    Case("kilometres for miles", "miles times 1.609", table(_scaled("trip_miles", 1.609)),
         (), ("DriftDetector drift(trip_miles)",), "PSI 0.53 (limit 0.25)", '"psi": 0.5'),
    Case("unit of one slice", "cents where a card pays", table(_in_cents_by_card),
         (f"{_MEAN}(fare)",), (f"{_BETWEEN}(fare)", "DriftDetector drift(fare)"), "it is 566.745", "566.7"),
    Case("integer as float", "hours as 12.0", table(_each("trip_start_hour", lambda v: f"{v}.0")),
         (_INGESTION,), says="row 1, column 'trip_start_hour': the schema's type does not fit: int64: invalid value '12.0'"),
    Case("decimal comma", "fares as 16,45", table(_each("fare", lambda v: f"{v:.2f}".replace(".", ","))),
         (_INGESTION,), says="column 'fare': the schema's type does not fit: double: invalid value '16,45'"),
    Case("thousands separator", "seconds as 1,200", table(_each("trip_seconds", lambda v: f"{v:,}")),
         (_INGESTION,), says="row 2, column 'trip_seconds': the schema's type does not fit: int64: invalid value '1,200'"),
    Case("dollar sign", "fares as $16.45", table(_each("fare", lambda v: f"${v:.2f}")),
         (_INGESTION,), says="column 'fare': the schema's type does not fit: double: invalid value '$16.45'"),
    Case("negative amounts", "a fare of -5 in one row of 100", table(set_some("fare", 100, -5.0)),
         ("ExampleValidator fare",), (f"{_BETWEEN}(fare)",), "Unexpectedly low values: -5<0", '"value": -5.0'),
    Case("outliers", "a fare of 500 dollars in one row of 200", table(set_some("fare", 200, 500.0)),
         (), (f"{_BETWEEN}(fare)",), "40 of 7,500 values do not (0.5 %), e.g. 500 (train row 0)", '"value": 500.0'),
    Case("rounded places", "latitudes to a tenth of a degree", table(_scaled("pickup_latitude", 1, 1)),
         (), ("DriftDetector drift(pickup_latitude)",), "PSI 6.99 (limit 0.25)", '"psi": 6.9'),
    Case("rounded fares", "to ten dollars", table(lambda t: put(t, "fare", np.round(number(t, "fare") / 10) * 10)),
         (_DEARER, "DataQuality expect_column_unique_value_count_to_be_between(fare)"), ("DriftDetector drift(fare)",),
         "506 of 7,500 values do not (6.7 %)", '"row": 6, "value": [0.0, 0.23]'),
    Case("constant column", "every fare is 7.85", table(lambda t: put(t, "fare", np.full(t.num_rows, 7.85))),
         (_DEARER, "DataQuality expect_column_unique_value_count_to_be_between(fare)"), ("DriftDetector drift(fare)",),
         "846 of 7,500 values do not (11.3 %), e.g. [7.85, 15.4]", '"row": 1, "value": [7.85, 15.4]'),
    Case("shifted, PSI 0.25", "fares times 1.22: the smallest shift that is told", table(_scaled("fare", 1.22)),
         (), ("DriftDetector drift(fare)",), "fare drifted from span 1: PSI 0.257 (limit 0.25)", '"psi": 0.25'),
    # Time
    Case("time zone", "six hours later: UTC for Chicago's time", table(_later),
         (), ("DriftDetector drift(trip_start_hour)",), "trip_start_hour drifted from span 1: PSI 0.368 (limit 0.25)", '"psi": 0.36'),
    Case("12-hour clock", "hours from 1 to 12", table(_twelve_hours),
         (), (f"{_IS_SET}(trip_start_hour)", "DriftDetector drift(trip_start_hour)"),
         "12 of them are missing: 0, 13, 14", '"missing_count": 12'),
    Case("hour 24", "for hour 0",
         table(lambda t: put(t, "trip_start_hour", (number(t, "trip_start_hour") + 23).astype(np.int64) % 24 + 1)),
         ("ExampleValidator trip_start_hour",), (f"{_IS_SET}(trip_start_hour)",), "Unexpectedly large value: 24", '"value": 24'),
    Case("month 13", "in one row of 500", table(set_some("trip_start_month", 500, 13)),
         ("ExampleValidator trip_start_month",), says="Unexpectedly large value: 13", shows='"value": 13'),
    Case("weekdays only", "no trips on Saturdays and Sundays", table(_weekdays),
         (), (f"{_IS_SET}(trip_start_day)",), "2 of them are missing: 1, 7", '"missing_count": 2'),
    # Text
    Case("new category", "one trip in 20 is paid by `Mobile`", table(set_some("payment_type", 20, "Mobile")),
         ("ExampleValidator payment_type",), (f"{_IN_SET}(payment_type)", "DriftDetector drift(payment_type)"),
         "Examples contain values missing from the schema: Mobile (~5%)", '"value": "Mobile"'),
    Case("white space", "a blank after each way of paying", table(lambda t: words(t, "payment_type", lambda v: f"{v} ")),
         ("ExampleValidator payment_type", f"{_HAS_SET}(payment_type)"), (f"{_IN_SET}(payment_type)",),
         "Cash  (~60%)", '"value": "Cash "'),
    Case("upper case", "CASH for Cash", table(lambda t: words(t, "payment_type", str.upper)),
         ("ExampleValidator payment_type", f"{_HAS_SET}(payment_type)"), (f"{_IN_SET}(payment_type)",),
         "CASH (~60%)", '"value": "CASH"'),
    Case("truncated text", "companies cut to 12 characters", table(lambda t: words(t, "company", lambda v: v[:12])),
         (f"{_HAS_SET}(company)",), ("DriftDetector drift(company)",),
         "1 of them are missing: 'Taxi Affiliation Services'", '"missing_count": 1'),
    Case("mojibake", "UTF-8 read as Latin-1",
         table(lambda t: words(t, "company", lambda v: v.replace("a", "ä").encode().decode("latin-1"))),
         ("DataQuality expect_column_values_to_match_regex(company)", f"{_HAS_SET}(company)"), ("DriftDetector drift(company)",),
         "4,871 of 4,888 values do not (99.7 %)", "Ã¤"),
    Case("codes for names", "companies by a number", table(lambda t: words(t, "company", lambda v: str(len(v)))),
         (f"{_HAS_SET}(company)",), ("DataQuality expect_column_value_lengths_to_be_between(company)",),
         "1 of them are missing: 'Taxi Affiliation Services'", '"missing_count": 1'),
    Case("default value", "every trip is by `Flash Cab`", table(lambda t: put(t, "company", ["Flash Cab"] * t.num_rows)),
         (f"{_HAS_SET}(company)",), ("DriftDetector drift(company)",),
         "1 of them are missing: 'Taxi Affiliation Services'", '"missing_count": 1'),
    # Rows
    Case("duplicated rows", "each tenth row twice", table(_doubled),
         (_UNIQUE,), ("DriftDetector doubles",), says="1,500 of 8,250 values do not (18.2 %)", shows='"unexpected_count": 1500'),
    Case("stale span", "the span before again, byte for byte", table(lambda t: t), ("DriftDetector stale",),
         says="span 2 is span 1 again, file for file", shows="span 1", again=True),
    Case("stale span, exported anew", "the rows of the span before in another order",
         table(lambda t: t.take(pa.array(np.random.default_rng(1).permutation(t.num_rows)))), ("DriftDetector stale",),
         says="span 2 is span 1 again, row for row, in other files or another order", shows="span 1", again=True),
    Case("half a span", "the first half of the rows", table(lambda t: t.slice(0, t.num_rows // 2)),
         (), ("DriftDetector rows",), "span 2 has 3,750 rows, 50% of the 7,502 of span 1", "3750"),
    Case("a few rows", "400 of 7,500", table(lambda t: t.slice(0, 400)),
         ("DataQuality expect_table_row_count_to_be_between",), ("DriftDetector rows",), "it is 400", "400"),
    Case("misaligned join", "fares of other trips", table(_shuffled("fare")),
         (_DEARER,), says="815 of 7,500 values do not (10.9 %)", shows='"row": 1, "value": [12.05, 15.4]'),
    Case("test rows in train", "each fourth row that is evaluated is trained on, too", table(_test_in_train),
         (_UNIQUE,), ("DriftDetector overlap(test)", "DriftDetector doubles"), "750 of 7,875 values do not (9.5 %)",
         '"unexpected_count": 750', of=_split_by_column),
    # Label
    Case("label flipped", "1 for 0 and 0 for 1", table(lambda t: put(t, "big_tipper", (1 - number(t, "big_tipper")).astype(np.int64))),
         (f"{_MEAN}(big_tipper)",), ("DriftDetector label_shift(big_tipper)",), "it is 0.734933", "0.7349"),
    Case("label share", "four fifths of the big tippers are missing", table(_fewer_positives),
         (f"{_MEAN}(big_tipper)",), says="it is 0.0703323", shows="0.0703"),
    Case("third class", "2 in one row of 300", table(set_some("big_tipper", 300, 2)),
         ("ExampleValidator big_tipper", f"{_IN_SET}(big_tipper)"), says="Unexpectedly large value: 2", shows='"value": 2'),
    Case("label leakage", "the way of paying is entered when the tip is known", table(_told_by_payment),
         (), ("DriftDetector leakage(payment_type)",), "payment_type alone tells big_tipper: 1.000 (limit 0.99", '"strength": 1.0'),
    Case("labels of other rows", "joined by position after one side was sorted", table(_shuffled("big_tipper")),
         (), ("DriftDetector association(payment_type)",), "payment_type told big_tipper with 0.943 in span 1", '"strength": 0.5'),
)  # fmt: skip
