"""Which rows fail, as a file: what the gate asks Quarantine to put aside."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components.data_quality._batch import Batch

FAILED_ROWS_FILE = "failed_rows.parquet"
_SCHEMA = pa.schema([("split", pa.string()), ("row", pa.int64()), ("check", pa.string())])


def write_failed_rows(folder: pathlib.Path, batch: Batch, rows: Mapping[str, npt.NDArray[np.int64]]) -> None:
    """Writes failed_rows.parquet: split, row in it (from 0) and the check; a row that fails two checks stands there twice.

    Args:
        folder: where to.
        batch: the rows.
        rows: by check, their places in the batch.
    """
    tables = [_SCHEMA.empty_table()]
    for check, places in rows.items():
        located = [batch.locate(int(place)) for place in places]
        split, row = [one for one, _ in located], [one for _, one in located]
        tables.append(pa.table([split, row, [check] * len(row)], schema=_SCHEMA))
    pq.write_table(pa.concat_tables(tables), folder / FAILED_ROWS_FILE)


def read_failed_rows(folder: str | os.PathLike[str]) -> pa.Table:
    """What `write_failed_rows` wrote."""
    return pq.read_table(pathlib.Path(folder) / FAILED_ROWS_FILE)
