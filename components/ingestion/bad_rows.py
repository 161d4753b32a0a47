"""What reading a file comes to where a row that does not fit is set aside instead of ending it."""

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
        column: where it does not fit; None: as a whole.
        reason: what is wrong, and what was received.
        content: the row as it stands in the file, where it could not be taken apart.
    """

    row: int
    column: str | None
    reason: str
    content: str | None = None


@dataclasses.dataclass(frozen=True)
class ReadRows:
    """Part of a file: the rows that fit, their numbers in the file, and those that do not fit."""

    batch: pa.RecordBatch
    numbers: npt.NDArray[np.int64]
    bad: tuple[BadRow, ...] = ()
