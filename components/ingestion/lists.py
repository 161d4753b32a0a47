"""Columns of several texts a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def divided(texts: pa.Array, separator: str, missing: Sequence[str] = ()) -> pa.Array:
    """Each text as the list of its values, without the spaces around them; an empty text is an empty list.

    Args:
        missing: texts that become null.

    Example:
        >>> divided(pa.array(["a; b", "", "NA"]), ";", ["NA"]).to_pylist()
        [['a', 'b'], [], None]
    """
    is_missing = pc.is_in(texts, value_set=pa.array(missing, pa.string()))
    lists = pc.split_pattern(pc.if_else(is_missing, pa.scalar(None, pa.string()), texts), separator)
    values = pc.utf8_trim_whitespace(pc.list_flatten(lists))
    kept = pc.not_equal(values, "")
    rows = pc.list_parent_indices(lists).filter(kept)
    return _lists(np.bincount(rows.to_numpy(), minlength=len(lists)), values.filter(kept), lists.is_null())


def rewritten(lists: pa.Array, rewrite: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """The same lists with each value rewritten."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return _lists(lengths, rewrite(pc.list_flatten(lists)), lists.is_null())


def _lists(lengths: np.ndarray, values: pa.Array, missing: pa.Array) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, mask=missing)
