"""What a case of the catalogue is, and the real trips that it changes."""

from __future__ import annotations

import dataclasses
import io
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

Files = Mapping[str, bytes]  # name -> content
_TYPES = {"fare": pa.float64(), "trip_miles": pa.float64(), "tips": pa.float64(), "trip_seconds": pa.int64()}


@dataclasses.dataclass(frozen=True)
class Case:
    """One change to a delivery.

    Attributes:
        name: short, for a test's id and the page's first column.
        what: the change in a sentence.
        deliver: the span's trips -> the files that arrive.
        stops: names of the critical checks that have to fail, all of them; none: nothing stops the run.
        warns: names of warnings that have to be among those given.
        says: words of the first one's message: what a person reads.
        shows: a piece of its evidence: a value or a row that proves it.
        again: `deliver` is given the trips of the span before.
        of: changes the workload for a case that the taxi workload cannot have.
    """

    name: str
    what: str
    deliver: Callable[[pa.Table], Files]
    stops: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    says: str = ""
    shows: str = ""
    again: bool = False
    of: Callable[[Any], Any] = lambda workload: workload


def read(path: pathlib.Path) -> pa.Table:
    """The trips as they were delivered, all columns."""
    options = pa.csv.ConvertOptions(column_types=_TYPES, strings_can_be_null=True)
    table = pa.csv.read_csv(path, convert_options=options)
    empty = [name for name in table.column_names if pa.types.is_null(table.column(name).type)]
    for name in empty:
        table = table.set_column(table.column_names.index(name), name, table.column(name).cast(pa.int64()))
    return table


def csv(table: pa.Table, **options: Any) -> bytes:
    """As one file, as the city exports it: a comma, a newline, and quotes only if a value has a comma itself."""
    try:
        return _csv(table, {"quoting_style": "none", **options})
    except pa.ArrowInvalid:
        return _csv(table, {"quoting_style": "needed", **options})


def _csv(table: pa.Table, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    out.write((options.get("delimiter", ",").join(table.column_names) + "\n").encode())
    pa.csv.write_csv(table, out, pa.csv.WriteOptions(include_header=False, **options))
    return out.getvalue()


def one_file(content: bytes) -> Files:
    return {"trips.csv": content}


def table(change: Callable[[pa.Table], pa.Table]) -> Callable[[pa.Table], Files]:
    """A change of the rows."""
    return lambda trips: one_file(csv(change(trips)))


def text(change: Callable[[bytes], bytes]) -> Callable[[pa.Table], Files]:
    """A change of the file."""
    return lambda trips: one_file(change(csv(trips)))


def put(trips: pa.Table, name: str, values: Any) -> pa.Table:
    """The trips with a column replaced, at its place."""
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        values = pa.array(values, from_pandas=True)
    return trips.set_column(trips.column_names.index(name), name, values)


def every(trips: pa.Table, nth: int) -> npt.NDArray[np.bool_]:
    """Each nth row, from the first."""
    return np.arange(trips.num_rows) % nth == 0


def set_some(name: str, nth: int, value: Any) -> Callable[[pa.Table], pa.Table]:
    """Puts a value into each nth row of a column."""

    def change(trips: pa.Table) -> pa.Table:
        column = trips.column(name)
        kind = column.type if value is None or not isinstance(value, float) else pa.float64()
        return put(trips, name, pc.if_else(pa.array(every(trips, nth)), pa.scalar(value, kind), column.cast(kind)))

    return change


def number(trips: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """A column as float64; missing ones are NaN."""
    return trips.column(name).cast(pa.float64()).to_numpy()


def words(trips: pa.Table, name: str, change: Callable[[str], str]) -> pa.Table:
    """A column of text changed value by value; missing ones stay so."""
    return put(trips, name, [None if v is None else change(v) for v in trips.column(name).to_pylist()])


def renamed(trips: pa.Table, names: Mapping[str, str]) -> pa.Table:
    return trips.rename_columns([names.get(one, one) for one in trips.column_names])


def with_data(workload: Any, **fields: Any) -> Any:
    """The workload with other fields in its section `data`."""
    return workload.model_copy(update={"data": workload.data.model_copy(update=fields)})
