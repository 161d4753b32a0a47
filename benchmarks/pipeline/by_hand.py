"""Shared by the hand-written scripts: standardising, vocabularies and ids, with numpy and pyarrow."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of the values that are not missing."""
    return float(np.nanmean(values)), float(np.nanstd(values))


def standardised(values: np.ndarray, mean: float, deviation: float) -> np.ndarray:
    """Standardised values, float32; missing values become the mean."""
    return np.nan_to_num((values.astype(np.float32) - np.float32(mean)) / np.float32(deviation or 1.0))


def vocabulary(values: pa.ChunkedArray | pa.Array, top_k: int, fewest: int = 1) -> pa.Array:
    """The most frequent values that occur `fewest` times or more, most frequent first.

    The empty word does not count, as in TFT.
    """
    counts = pc.value_counts(values)
    if pa.types.is_string(values.type):
        counts = counts.filter(pc.not_equal(counts.field("values"), ""))
    kept = counts.take(pc.sort_indices(counts.field("counts"), sort_keys=[("", "descending")])[:top_k])
    return kept.filter(pc.greater_equal(kept.field("counts"), fewest)).field("values")


def ids(values: pa.ChunkedArray | pa.Array, known: pa.Array) -> np.ndarray:
    """Each value's index in the vocabulary, int64; the vocabulary's size for unknown values."""
    return pc.fill_null(pc.index_in(values, known), len(known)).to_numpy().astype(np.int64)
