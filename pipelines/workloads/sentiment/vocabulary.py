"""The words that the sentiment workload knows: those of the vectors, and a few that the vectors' own splitting left without."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from components.assets import asset_path

# Sentiment turns on "n't"; the model learns their vectors from nothing.
_LEARNT = ("a", "i", "n't", "'s", "'re", "'ve", "'ll", "'d", "'m", "ca")
FIRST = 2  # 0 is behind the end, 1 is every unknown word


def words() -> list[str]:
    """In the order of their ids, from FIRST on."""
    return [*_LEARNT, *_stored("word").to_pylist()]


def vectors() -> np.ndarray:
    """Where training starts from, float32 [ids, d]."""
    stored = _stored("vector").combine_chunks()
    known = stored.flatten().to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(stored), -1)
    learnt = np.random.default_rng(1).normal(0, known.std(), (len(_LEARNT), known.shape[1]))
    return np.concatenate([np.zeros((FIRST, known.shape[1])), learnt, known]).astype(np.float32)


def _stored(column: str) -> pa.ChunkedArray:
    return pq.read_table(asset_path("glove_100d"), columns=[column])[column]
