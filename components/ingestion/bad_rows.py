"""What reading a file yields if rows that do not fit are set aside."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclasses.dataclass(frozen=True)
class BadRow:
    """A row that does not fit.

    Attributes:
        row: its number in the file, from 1; a CSV's header and blank lines do not count.
        column: where it does not fit; None: the whole row.
        reason: what is wrong, and what was received.
        content: the row as it is in the file, if it could not be parsed.
    """

    row: int
    column: str | None
    reason: str
    content: str | None = None


@dataclasses.dataclass(frozen=True)
class ReadRows:
    """A batch of rows that fit, their numbers in the file, and the rows that do not fit."""

    batch: pa.RecordBatch
    numbers: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...] = ()
