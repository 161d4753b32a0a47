"""A small part of a span, for a quick run."""

from __future__ import annotations

import pathlib
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_SEED = 0


def sample_span(
    span: pathlib.Path, target: pathlib.Path, rows: int, split: str | None = None, query: str | None = None
) -> None:
    """Writes files of the same names and columns with some of a span's rows, in their order; the same ones each time.

    Args:
        span: a folder of Parquet or CSV files, as data sets are laid out; of other files all are copied.
        target: the folder to make.
        rows: about how many to keep: of each split where `split` names its column, else in all.
        query: a column whose values keep all of their rows or none, so that a user's or a search's stay together.
    """
    files = sorted(span.iterdir())
    if any(file.suffix not in (".csv", ".parquet") for file in files):
        shutil.copytree(span, target)
        return
    import numpy as np
    import pyarrow as pa

    tables = [_read(file) for file in files]
    keys = [name for name in (split, query) if name]
    decide = pa.concat_tables([table.select(keys) for table in tables]) if keys else None
    total = sum(table.num_rows for table in tables)
    splits = _codes(decide, split) if decide and split else np.zeros(total, np.int64)
    random = np.random.default_rng(_SEED)
    if decide and query:
        kept = _of_queries(_codes(decide, query), rows * len(np.unique(splits)), random)
    else:
        kept = _of_splits(splits, rows, random)
    target.mkdir(parents=True)
    first = 0
    for file, table in zip(files, tables, strict=True):
        _write(table.filter(pa.array(kept[first : first + table.num_rows])), target / file.name)
        first += table.num_rows


def _codes(table: pa.Table, column: str) -> np.ndarray:
    """A number for each value, [N]."""
    codes: np.ndarray = table[column].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    return codes


def _of_splits(splits: np.ndarray, rows: int, random: np.random.Generator) -> np.ndarray:
    """Which rows to keep, bool [N]: so many of each split."""
    import numpy as np

    kept = np.zeros(len(splits), bool)
    for split in np.unique(splits):
        kept[random.permutation(np.flatnonzero(splits == split))[:rows]] = True
    return kept


def _of_queries(queries: np.ndarray, rows: int, random: np.random.Generator) -> np.ndarray:
    """Which rows to keep, bool [N]: those of as many queries as make so many rows."""
    import numpy as np

    counts = np.bincount(queries)
    order = random.permutation(len(counts))
    chosen = order[: 1 + np.searchsorted(np.cumsum(counts[order]), rows)]
    return np.isin(queries, chosen)


def _read(file: pathlib.Path) -> pa.Table:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.suffix == ".parquet":
        return pq.read_table(file)
    text = pd.read_csv(file, dtype=str, keep_default_na=False)  # as it is written: numbers too
    return pa.Table.from_pandas(text, preserve_index=False)


def _write(table: pa.Table, file: pathlib.Path) -> None:
    import pyarrow.parquet as pq

    if file.suffix == ".parquet":
        pq.write_table(table, file, compression="zstd")
    else:
        table.to_pandas().to_csv(file, index=False)
