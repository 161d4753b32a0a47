"""Damage to a span of taxi trips, one kind at a time."""

from __future__ import annotations

import gzip
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.catalogue.cases import (
    Case,
    csv,
    every,
    in_order,
    number,
    one_file,
    put,
    renamed,
    set_some,
    table,
    text,
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


def _told_by_seconds(trips: pa.Table) -> pa.Table:
    """Ten seconds are added while the tip is being paid: the last digit tells."""
    return put(trips, "trip_seconds", np.nan_to_num(number(trips, "trip_seconds")).astype(np.int64) // 60 * 60 + 30 * 0)


def _half(trips: pa.Table) -> pa.Table:
    return trips.slice(0, trips.num_rows // 2)


def _eval_in_train(trips: pa.Table) -> pa.Table:
    side = np.where(every(trips, 5), "eval", "train")
    both = trips.append_column("side", pa.array(side))
    leaked = both.filter(pa.array(every(trips, 20)))
    leaked = put(leaked, "side", ["train"] * leaked.num_rows)
    return pa.concat_tables([both, leaked])


def _split_by_column(workload: Any) -> Any:
    split = workload.data.split.model_copy(update={"column": "side"})
    return workload.model_copy(update={"data": workload.data.model_copy(update={"split": split})})


def _header_again(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join([*lines[:3000], lines[0], *lines[3000:]])


DAMAGE: tuple[Case, ...] = (
    # The file
    Case("truncated file", "", text(lambda b: b[: b.rindex(b",", 0, len(b) * 2 // 3)])),
    Case("wrong delimiter", "", lambda t: one_file(csv(t, delimiter=";"))),
    Case("header repeated", "", text(_header_again)),
    Case("UTF-16", "", text(lambda b: b.decode().encode("utf-16"))),
    Case(
        "Latin-1",
        "",
        lambda t: one_file(
            csv(words(t, "company", lambda v: v.replace("Dispatch", "Dispätch"))).decode().encode("latin-1")
        ),
    ),
    Case("compressed, not named so", "", text(lambda b: gzip.compress(b))),
    Case("unclosed quote", "", text(lambda b: b.replace(b"Blue Diamond", b'"Blue Diamond', 1))),
    Case("empty file", "", text(lambda b: b"")),
    Case("header alone", "", text(lambda b: b.splitlines(keepends=True)[0])),
    # Columns
    Case("dropped column", "", table(lambda t: t.drop(["fare"]))),
    Case("renamed column", "", table(lambda t: renamed(t, {"trip_miles": "trip_distance"}))),
    Case("unknown column", "", table(lambda t: t.append_column("driver_id", pa.array(np.arange(t.num_rows))))),
    Case("swapped columns", "", table(_swapped("pickup_latitude", "pickup_longitude"))),
    Case("swapped amounts", "", table(_swapped("fare", "trip_miles"))),
    Case("swapped day and month", "", table(_swapped("trip_start_day", "trip_start_month"))),
    # Missing values
    Case("nulls at 1 %", "", table(set_some("fare", 100, None))),
    Case("nulls at 5 % where 1 % may be", "", table(set_some("pickup_community_area", 20, None))),
    Case("column of nulls", "", table(lambda t: put(t, "company", pa.nulls(t.num_rows, pa.string())))),
    Case("NaN", "", table(set_some("trip_miles", 100, float("nan")))),
    Case("infinity", "", table(set_some("fare", 500, float("inf")))),
    Case("sentinel -999", "", table(set_some("trip_seconds", 200, -999))),
    Case("sentinel 0 area", "", table(set_some("dropoff_community_area", 33, 0))),
    # Units and numbers
    Case("unit x1000", "", table(_scaled("trip_miles", 1000))),
    Case("cents", "", table(_scaled("fare", 100))),
    Case("minutes for seconds", "", table(lambda t: put(t, "trip_seconds", pc.divide(t.column("trip_seconds"), 60)))),
    Case("kilometres for miles", "", table(_scaled("trip_miles", 1.609))),
    Case("unit of one slice", "", table(_in_cents_by_card)),
    Case(
        "integer as float",
        "",
        table(lambda t: put(t, "trip_start_hour", [f"{v}.0" for v in t.column("trip_start_hour").to_pylist()])),
    ),
    Case(
        "decimal comma",
        "",
        table(lambda t: put(t, "fare", [f"{v:.2f}".replace(".", ",") for v in t.column("fare").to_pylist()])),
    ),
    Case(
        "thousands separator",
        "",
        table(
            lambda t: put(
                t, "trip_seconds", [None if v is None else f"{v:,}" for v in t.column("trip_seconds").to_pylist()]
            )
        ),
    ),
    Case("negative amounts", "", table(set_some("fare", 100, -5.0))),
    Case("outliers", "", table(set_some("fare", 200, 9999.0))),
    Case("rounded places", "", table(_scaled("pickup_latitude", 1, 1))),
    Case("rounded fares", "", table(lambda t: put(t, "fare", np.round(number(t, "fare") / 10) * 10))),
    Case("constant column", "", table(lambda t: put(t, "fare", np.full(t.num_rows, 7.85)))),
    Case("shifted, PSI 0.25", "", table(_scaled("fare", 1.25))),
    # Time
    Case("time zone", "", table(_later)),
    Case("12-hour clock", "", table(_twelve_hours)),
    Case("weekdays only", "", table(_weekdays)),
    Case(
        "hour 24",
        "",
        table(
            lambda t: put(
                t,
                "trip_start_hour",
                np.where(number(t, "trip_start_hour") == 0, 24, number(t, "trip_start_hour")).astype(np.int64),
            )
        ),
    ),
    # Text
    Case("new category", "", table(set_some("payment_type", 20, "Mobile"))),
    Case("whitespace", "", table(lambda t: words(t, "payment_type", lambda v: f"{v} "))),
    Case("case", "", table(lambda t: words(t, "payment_type", str.upper))),
    Case("truncated text", "", table(lambda t: words(t, "company", lambda v: v[:12]))),
    Case(
        "mojibake", "", table(lambda t: words(t, "company", lambda v: v.replace("a", "ä").encode().decode("latin-1")))
    ),
    Case("one company", "", table(lambda t: put(t, "company", ["Flash Cab"] * t.num_rows))),
    # Rows
    Case("duplicated rows", "", table(_doubled)),
    Case("half a span", "", table(_half)),
    Case("a few rows", "", table(lambda t: t.slice(0, 400))),
    Case("misaligned join", "", table(_shuffled("fare"))),
    Case("eval in train", "", table(_eval_in_train), of=_split_by_column),
    # Label
    Case("label flipped", "", table(lambda t: put(t, "big_tipper", (1 - number(t, "big_tipper")).astype(np.int64)))),
    Case("label share", "", table(_fewer_positives)),
    Case("label of three", "", table(set_some("big_tipper", 300, 2))),
    Case("leak by payment", "", table(_told_by_payment)),
    Case("label shuffled", "", table(_shuffled("big_tipper"))),
)
