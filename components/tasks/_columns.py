"""Raw columns of labels and queries as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from components.tasks._lazily import np, pa, pc, pd
from spec.errors import InputError


def class_indices(column: pa.Array, classes: Sequence[str]) -> np.ndarray:
    """The classes of a raw label column as int64 indices [N]; 1 is the positive class of two.

    Integers, booleans and whole floats match the classes by their text: 3, 3.0 and "3" are the class "3".

    Raises:
        InputError: a label is missing or is none of the classes.
    """
    if column.null_count:
        raise InputError(
            f"{column.null_count} of {len(column)} labels are missing. Remove those rows or complete them."
        )
    encoded = column.dictionary_encode()
    known = {name: index for index, name in enumerate(classes)}
    raw = encoded.dictionary.to_pylist()
    indices = [next((known[name] for name in _class_names(value) if name in known), -1) for value in raw]
    unknown = [_class_names(value)[0] for value, index in zip(raw, indices, strict=True) if index < 0]
    if unknown:
        raise InputError(
            f"labels outside the model's classes ({', '.join(map(repr, classes[:20]))}). Received: "
            f"{', '.join(map(repr, unknown[:5]))}. Mend the data, or the label's domain in schema.pbtxt and train anew."
        )
    table = np.array(indices, dtype=np.int64)
    return table[encoded.indices.to_numpy(zero_copy_only=False)] if len(column) else np.empty(0, np.int64)


def _class_names(value: Any) -> tuple[str, ...]:
    if isinstance(value, bytes):
        return (value.decode("utf-8", "replace"),)
    if isinstance(value, bool):
        return (str(value).lower(), str(int(value)), str(value))
    if isinstance(value, float) and value.is_integer():
        return (str(int(value)),)
    return (str(value),)


def numbers(column: pa.Array, task: str) -> np.ndarray:
    """A raw label column as float64 [N].

    Raises:
        InputError: it holds no numbers, or one is missing or not finite.
    """
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"{task} needs numbers. Received: {column.type}.") from None
    if bad := int((~np.isfinite(values)).sum()):
        raise InputError(f"{bad} of {len(values)} values are missing or not finite. Remove those rows.")
    return values


def query_keys(column: pa.Array, name: str) -> np.ndarray:
    """The queries of a batch as int64 [N]: integers as they are, other values by a hash that is the same everywhere.

    Of a million queries, two share a key with a probability of 3e-8.

    Raises:
        InputError: a query is missing, or the column holds lists.
    """
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    if column.null_count:
        raise InputError(
            f"data.query: {column.null_count} of {len(column)} values of column {name!r} are missing, so those rows belong to "
            "no query. Remove or complete them."
        )
    if pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        return np.asarray(column.cast(pa.int64(), safe=False).to_numpy(zero_copy_only=False))
    try:
        encoded = column.dictionary_encode()
        texts = np.array(
            [str(v).encode() if not isinstance(v, bytes) else v for v in encoded.dictionary.to_pylist()], object
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"data.query: column {name!r} must hold one value a row. Received: {column.type}.") from None
    keys = pd.util.hash_array(texts, categorize=False).view(np.int64)
    return np.asarray(keys[encoded.indices.to_numpy(zero_copy_only=False)])
