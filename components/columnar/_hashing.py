"""Hashes of rows, the same on every machine and in every run (SipHash with a fixed key)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.columnar._arrow import is_text_or_bytes

Hashes = npt.NDArray[np.uint64]


def hash_rows(columns: Iterable[pa.Array]) -> Hashes:
    """A hash of each row over columns, in order; uint64[rows].

    Args:
        columns: at least one, all of one length: numbers, booleans, texts, bytes, or lists of numbers.
    """
    total: Hashes | None = None
    for array in columns:
        total = hash_column(array) if total is None else add_column(total, array)
    assert total is not None
    # Neighbouring numbers have neighbouring hashes; one more round spreads them.
    return spread_bits(total)


def add_column(total: Hashes, array: pa.Array) -> Hashes:
    """Hashes of rows with one more column."""
    return total * np.uint64(1_000_003) + hash_column(array)


def spread_bits(total: Hashes) -> Hashes:
    """Mixes hashes so that every bit depends on all bits."""
    import pandas as pd

    return pd.util.hash_array(total)  # type: ignore[no-any-return]


def hash_column(array: pa.Array) -> Hashes:
    """A hash of each value; a missing text is hashed as an empty one."""
    import pandas as pd  # slow to import, and readers and writers do not need it

    if not is_text_or_bytes(array.type):
        return pd.util.hash_array(_hashable(array), categorize=False)  # type: ignore[no-any-return]
    # Text repeats: each value is hashed once.
    encoded = pc.fill_null(array.cast(pa.large_binary()), b"").dictionary_encode()
    values = encoded.dictionary.to_numpy(zero_copy_only=False)
    return pd.util.hash_array(values, categorize=False)[encoded.indices.to_numpy()]  # type: ignore[no-any-return]


def _hashable(array: pa.Array) -> npt.NDArray[np.generic]:
    if pa.types.is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        flat = np.ascontiguousarray(pc.list_flatten(array).to_numpy(zero_copy_only=False))
        rows = np.split(flat, np.cumsum(pc.list_value_length(array).to_numpy(zero_copy_only=False))[:-1].astype(int))
        return np.array([row.tobytes() for row in rows], dtype=object)
    if pa.types.is_integer(array.type):
        return pc.fill_null(array, np.iinfo(np.int64).min).to_numpy(zero_copy_only=False)
    return array.to_numpy(zero_copy_only=False)
