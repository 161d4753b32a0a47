"""Every type that Arrow has, as each of the schema's: a value, or one clear line."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.ingestion.arrow_types import NOT_CONVERTED, to_type

INT, FLOAT, TEXT = pa.int64(), pa.float64(), pa.string()
ID = 1540000000000000517  # a double would make it ...512
DAY, NIGHT, NIGHT_US = datetime.date(2026, 1, 2), datetime.datetime(2026, 1, 2), 1767312000000000
TIME = datetime.time(1, 2, 3)

# By name: an array of one value, and what it is as INT, FLOAT and BYTES; None: it is refused.
VALUES: dict[str, tuple[pa.Array, Any, Any, Any]] = {
    **{
        kind: (pa.array([7], kind), 7, 7.0, "7")
        for kind in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
    },
    "an id": (pa.array([ID]), ID, float(ID), str(ID)),
    "beyond int64": (pa.array([2**64 - 1], pa.uint64()), None, 2.0**64, "18446744073709551615"),
    "halffloat": (pa.array(np.array([1.5], np.float16)), None, 1.5, "1.5"),
    "float": (pa.array([2.0], pa.float32()), 2, 2.0, "2"),
    "double": (pa.array([1.5]), None, 1.5, "1.5"),
    "decimal128": (pa.array([decimal.Decimal("1.50")]), None, 1.5, "1.50"),
    "decimal128 of an id": (pa.array([decimal.Decimal(ID)], pa.decimal128(38, 0)), ID, float(ID), str(ID)),
    "decimal256": (pa.array([decimal.Decimal("2")], pa.decimal256(40, 0)), 2, 2.0, "2"),
    "bool": (pa.array([True]), 1, 1.0, "true"),
    "date32": (pa.array([DAY]), NIGHT_US, None, "2026-01-02"),
    "date64": (pa.array([DAY], pa.date64()), NIGHT_US, None, "2026-01-02"),
    "time32": (pa.array([TIME], pa.time32("s")), 3723_000000, None, "01:02:03"),
    "time64": (pa.array([TIME], pa.time64("ns")), 3723_000000, None, "01:02:03.000000000"),
    "timestamp": (pa.array([NIGHT], pa.timestamp("ns")), NIGHT_US, None, "2026-01-02 00:00:00.000000"),
    "timestamp in a zone": (
        pa.array([NIGHT], pa.timestamp("s", "Europe/Berlin")),
        NIGHT_US,
        None,
        "2026-01-02 01:00:00.000000+0100",
    ),
    "duration": (pa.array([datetime.timedelta(seconds=1)], pa.duration("ms")), 1_000_000, None, "1000"),
    "interval": (pa.array([pa.MonthDayNano([1, 2, 3])]), None, None, None),
    "string": (pa.array(["a"]), None, None, "a"),
    "large_string": (pa.array(["12"], pa.large_string()), 12, 12.0, "12"),
    "string_view": (pa.array(["a"], pa.string_view()), None, None, "a"),
    "binary": (pa.array([b"a"]), None, None, "a"),
    "binary that is no text": (pa.array([b"\xff"]), None, None, None),
    "large_binary": (pa.array([b"a"], pa.large_binary()), None, None, "a"),
    "binary_view": (pa.array([b"a"], pa.binary_view()), None, None, "a"),
    "fixed_size_binary": (pa.array([b"ab"], pa.binary(2)), None, None, "ab"),
    "dictionary of texts": (pa.array(["a"]).dictionary_encode(), None, None, "a"),
    "dictionary of ids": (pa.array([ID]).dictionary_encode(), ID, float(ID), str(ID)),
    "run_end_encoded": (pa.RunEndEncodedArray.from_arrays([1], pa.array([ID])), ID, float(ID), str(ID)),
    "extension": (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16], pa.binary(16))), None, None, "x" * 16),
    "list": (pa.array([[1.0]]), None, None, None),
    "struct": (pa.array([{"a": 1}]), None, None, None),
    "map": (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())), None, None, None),
    "union": (pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]), None, None, None),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_each_type_has_a_value_or_is_refused(name: str) -> None:
    array, *expected = VALUES[name]
    for kind, value in zip((INT, FLOAT, TEXT), expected, strict=True):
        if value is None:
            with pytest.raises(NOT_CONVERTED):
                to_type(array, kind)
            continue
        assert to_type(array, kind).to_pylist() == [value], kind
        # A missing value stays one, however the type stores it.
        assert to_type(pa.concat_arrays([array, pa.nulls(1, array.type)]), kind).to_pylist() == [value, None], kind


def test_every_type_that_arrow_has_is_in_the_table() -> None:
    """A new Arrow brings new types; each belongs into the table."""
    known = {name for name in dir(pa.lib) if name.startswith("Type_")}
    here = {array.type.id for array, *_ in VALUES.values()}
    lists = {"Type_LARGE_LIST", "Type_FIXED_SIZE_LIST", "Type_LIST_VIEW", "Type_LARGE_LIST_VIEW"}
    assert {name for name in known if getattr(pa.lib, name) not in here} == lists | {"Type_NA", "Type_DENSE_UNION"}


@pytest.mark.parametrize("kind", [pa.large_list(INT), pa.list_(INT, 2), pa.list_view(INT), pa.large_list_view(INT)])
def test_vectors_however_they_are_stored(kind: pa.DataType) -> None:
    array = pa.array([[1, 2], [3, 4]], kind)
    assert to_type(array, pa.list_(FLOAT)).to_pylist() == [[1.0, 2.0], [3.0, 4.0]]
    assert to_type(array.slice(1), pa.list_(FLOAT)).to_pylist() == [[3.0, 4.0]]


def test_nan_is_missing_whatever_is_asked_for() -> None:
    for kind in (pa.float16(), pa.float32(), pa.float64()):
        numbers = pa.array(np.array([np.nan, 3], kind.to_pandas_dtype()))
        assert to_type(numbers, INT).to_pylist() == [None, 3]
        assert to_type(numbers, TEXT).to_pylist() == [None, "3"]
    assert to_type(pa.nulls(2), INT).to_pylist() == [None, None]
