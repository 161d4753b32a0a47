from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set and how to write one span of it.

    Attributes:
        name: as `data.dataset` in workload.yaml says it.
        description: one sentence: what a row is, how many there are.
        spans: the numbers of its spans, oldest first.
        write: writes the files of one span into an empty folder: `write(span, folder)`.
    """

    name: str
    description: str
    source: str
    licence: str
    spans: range
    write: Callable[[int, pathlib.Path], None]
