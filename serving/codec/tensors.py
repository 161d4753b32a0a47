"""Tensors as requests bring them, held against what a signature takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.codec.signature import TensorInfo, show_shape
from serving.errors import BadRequestError
from spec.pictures import too_large

Arrays = dict[str, "np.ndarray[Any, Any]"]


def size_of(arrays: Arrays) -> int:
    """Bytes of tensors; of texts, those of their places alone."""
    return sum(one.nbytes for one in arrays.values())


def by_input(given: Mapping[str, Any], inputs: Mapping[str, TensorInfo], where: str) -> dict[str, Any]:
    """Renames columns from their own names to those that TensorFlow accepts; a request may use either.

    Raises:
        BadRequestError: an input is given under both names.
    """
    own = {info.column: name for name, info in inputs.items() if info.column and info.column not in inputs}
    for column in own.keys() & given.keys():
        if own[column] in given:
            raise BadRequestError(f"{where}.{column}: is given as {own[column]!r} too; keep one of the two.")
    return {own.get(name, name): value for name, value in given.items()}


def fill_missing(arrays: Arrays, inputs: Mapping[str, TensorInfo]) -> Arrays:
    """Adds nullable inputs that were left out, with the model's value for "missing".

    Raises:
        BadRequestError: an input that is not nullable is missing.
    """
    for name, info in inputs.items():
        if name in arrays:
            continue
        if not info.nullable:
            raise BadRequestError(
                f"input {info.shown!r} is missing. Needed: {shown_names(i for i in inputs.values() if not i.nullable)}"
            )
        rows = next((array.shape[0] for array in arrays.values() if array.ndim), 1)
        arrays[name] = np.full((rows, *open_as_one(info.row_shape)), info.sentinel, dtype=info.dtype)
    return arrays


def check_array(array: np.ndarray[Any, Any], info: TensorInfo) -> None:
    """Raises BadRequestError unless a tensor fits an input of the signature."""
    if array.dtype.kind != info.dtype.kind or array.dtype.itemsize != info.dtype.itemsize:
        found = "string" if array.dtype.kind in "OSU" else str(array.dtype)
        raise BadRequestError(f"input {info.shown!r}: expected type {info.type_name}. Received: {found}")
    if not info.accepts(array.shape):
        raise BadRequestError(
            f"input {info.shown!r}: expected shape {show_shape(info.shape)}. Received: {list(array.shape)}"
        )


def check_pictures(array: np.ndarray[Any, Any], info: TensorInfo) -> None:
    """Raises BadRequestError if a value is a picture that would take gigabytes once it is decoded."""
    if array.dtype.kind != "O":
        return
    for row, value in enumerate(array.reshape(len(array), -1)[:, 0] if array.size and array.ndim else ()):
        if isinstance(value, bytes) and (problem := too_large(value)):
            raise BadRequestError(f"row {row}, input {info.shown!r}: {problem}.")


def settle_missing(array: np.ndarray[Any, Any], info: TensorInfo) -> np.ndarray[Any, Any]:
    """Replaces values that mean "missing" with the model's own value for it, as in its training data: NaN, the smallest int64, the
    empty text, and the texts of `na_values`.

    Raises:
        BadRequestError: a value is missing, but the input requires one.
    """
    if info.feature is None:
        return array
    if array.dtype.kind == "f":
        is_missing = np.isnan(array)
    elif array.dtype.kind == "i":
        is_missing = array == info.sentinel if info.type_name == "int64" else np.zeros(array.shape, bool)
    else:
        texts = info.feature.missing_texts
        is_missing = np.array([value in texts for value in array.reshape(-1).tolist()], bool).reshape(array.shape)
    if not is_missing.any():
        return array
    if not info.nullable:
        row = int(np.argwhere(is_missing)[0][0]) if array.ndim else 0
        received = show_value(array[is_missing][0])
        raise BadRequestError(
            f"row {row}, input {info.shown!r}: expected a value ({info.type_name}). Received: {received}, which means that it is "
            "missing."
        )
    settled = array.copy()
    settled[is_missing] = info.sentinel
    return settled


def show_value(value: Any) -> str:
    return show(value.decode("utf-8", "replace")) if isinstance(value, bytes) else str(value)


def shown_names(infos: Any) -> str:
    return ", ".join(info.shown for info in infos)


def open_as_one(shape: tuple[int | None, ...] | None) -> tuple[int, ...]:
    return tuple(1 if n is None else n for n in shape or ())


def show(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        text = "lists in lists"
    return text if len(text) <= 60 else text[:57] + "..."
