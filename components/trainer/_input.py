"""Transformed Examples as arrays for Keras."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.columnar import read_split
from components.errors import InputError
from components.served_model import NUMERIC
from components.trainer._schema import Feature

Arrays = tuple[dict[str, npt.NDArray[Any]], npt.NDArray[Any]]

_DTYPES = {"float32": np.float32, "int64": np.int64, "string": object}


def load_arrays(uri: str, split: str, features: Iterable[Feature], label: str) -> Arrays:
    """A split as feature arrays [N, *shape] by name and the label [N]."""
    features = list(features)
    table = read_split(uri, split, [f.name for f in features] + [label])
    inputs = {f.name: _array(table.column(f.name), f) for f in features}
    return inputs, table.column(label).to_numpy()


def check_label(values: npt.NDArray[Any], task: str, label: str, classes: tuple[str, ...], split: str) -> None:
    """Raises InputError for a label that is no class, no number, or always the same."""
    if task in NUMERIC:
        if not np.isfinite(values).all():
            row = int(np.argmax(~np.isfinite(values)))
            raise InputError(
                f"label {label!r}, row {row + 1} of {split}: is not a finite number. Remove or mend the row."
            )
        if task == "ranking" and (values < 0).any():
            row = int(np.argmax(values < 0))
            raise InputError(
                f"label {label!r}, row {row + 1} of {split}: a relevance is 0 or more. Received: {values[row]:g}. Mend the row."
            )
        return
    if (values < 0).any():
        row = int(np.argmax(values < 0))
        raise InputError(
            f"label {label!r}, row {row + 1} of {split}: is none of the classes {list(classes)[:10]}. "
            "Mend the row, or the label's domain in schema.pbtxt."
        )
    if split == "train" and len(np.unique(values)) < 2:
        raise InputError(
            f"label {label!r}: all rows of train are {classes[int(values[0])]!r}; there is nothing to learn."
        )


def _array(column: pa.ChunkedArray, feature: Feature) -> npt.NDArray[Any]:
    combined = column.combine_chunks()
    if pa.types.is_fixed_size_list(combined.type):
        combined = pc.list_flatten(combined)
    values = combined.to_numpy(zero_copy_only=False)
    array: npt.NDArray[Any] = np.asarray(values, dtype=_DTYPES[feature.dtype]).reshape(-1, *feature.shape)
    if feature.dtype == "float32" and not np.isfinite(array).all():
        raise InputError(
            f"feature {feature.name!r}: preprocessing_fn returns NaN or infinity in {int((~np.isfinite(array)).sum())} "
            "values. Fill missing values, and guard logarithms and divisions."
        )
    return array
