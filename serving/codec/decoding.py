"""JSON to tensors and back, by TF Serving's conventions (row form and column form).

Numbers go through NumPy a column at a time; they are visited one by one only to find an invalid value.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import dataclasses
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
import orjson

from serving.codec._lossless import are_plain, most_whole, objection
from serving.codec.lists import MOST_NESTED, flattened, kinds_in
from serving.codec.signature import TensorInfo, show_shape
from serving.codec.tensors import Arrays, by_input, open_as_one, show, shown_names
from serving.errors import BadRequestError

Where = Callable[[tuple[int, ...]], str]
"""Says where in a request a value is, by its path in the lists."""

_IMAGES = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR")  # how a JPEG, a PNG, a GIF and a WebP begin in base64
_FIELDS = (b'"instances"', b'"inputs"', b'"examples"', b'"context"', b'"signature_name"')
_MOST_DIGITS = 20  # of a whole number of 64 bits, and its sign
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_TAKES: dict[str, set[type]] = {
    "f": {int, float},
    "i": {int},
    "u": {int},
    "b": {bool},
    "V": {int, float},
}  # V: bfloat16 and similar
_UNEQUAL = "lists of unequal length"
_EXPECTED = {"f": "a number", "i": "a whole number", "u": "a whole number", "b": "true or false", "V": "a number"}


def parse_json(body: bytes) -> dict[str, Any]:
    """The object in a request body. As in TF Serving, NaN, Infinity and a byte order mark are read, and of equal keys the first."""
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        document = _parse(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"the body is not valid JSON: {error}.") from None
    if not isinstance(document, dict):
        raise BadRequestError(
            f'the body must be a JSON object, e.g. {{"instances": [...]}}. Received: {show(document)}'
        )
    return document


def _parse(body: bytes) -> Any:
    if all(body.count(field) < 2 for field in _FIELDS):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            if b"NaN" not in body and b"Infinity" not in body:
                raise
    document = json.loads(
        body, object_pairs_hook=lambda pairs: dict(reversed(pairs)), parse_int=_whole, parse_float=_decimal
    )
    if b"\\u" in body:  # the only way to half a character, which no encoding has
        json.dumps(document, ensure_ascii=False).encode()
    return document


def _whole(text: str) -> int | float:
    """A whole number, or a decimal one where it has more than 64 bits, as TF Serving and orjson have it."""
    value = int(text) if len(text) <= _MOST_DIGITS else math.inf
    return value if -(2**63) <= value < 2**64 else _decimal(text)


def _decimal(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:40]} is beyond the range of float64")
    return value


def is_by_row(document: Mapping[str, Any]) -> bool:
    """Whether a predict request is in row form ("instances"), and not in column form ("inputs").

    Raises:
        BadRequestError: it is in neither form, or in both.
    """
    if ("instances" in document) == ("inputs" in document):
        found = ", ".join(sorted(document)) or "an empty object"
        raise BadRequestError(
            f'the body needs either "instances" (row form) or "inputs" (column form). Received: {found}'
        )
    return "instances" in document


def rows_of(document: Mapping[str, Any]) -> list[Any]:
    """The rows of a predict request in row form."""
    instances = document["instances"]
    if not isinstance(instances, list) or not instances:
        raise BadRequestError(f'"instances" must be a list of at least one instance. Received: {show(instances)}')
    return instances


def decode_rows(instances: list[Any], inputs: Mapping[str, TensorInfo]) -> Arrays:
    """The tensors of rows, by input name.

    Args:
        instances: at least one; columns are renamed in place.

    Raises:
        BadRequestError: names the row and the input that do not fit.
    """
    if isinstance(instances[0], dict) and not is_b64(instances[0]):
        known, renamed = inputs.keys(), any(info.column for info in inputs.values())
        for row, instance in enumerate(instances):
            if not isinstance(instance, dict):
                raise BadRequestError(
                    f"instances[{row}]: expected an object, as the first is. Received: {show(instance)}"
                )
            if renamed:
                instances[row] = instance = by_input(instance, inputs, f"instances[{row}]")
            if not instance.keys() <= known:
                raise_unknown(instance.keys() - known, inputs, f"instances[{row}]")
        return {
            name: decode_tensor([instance.get(name) for instance in instances], info, _in_row(info.shown, instances))
            for name, info in inputs.items()
        }
    info = _only(inputs, "instances", "each instance must be an object {input: value}", instances[0])
    return {info.name: decode_tensor(instances, info, lambda path: "instances" + _index(path))}


def decode_columns(columns: Any, inputs: Mapping[str, TensorInfo]) -> Arrays:
    """The tensors of columns, by input name; inputs without a value are left out.

    Raises:
        BadRequestError: names the input that does not fit.
    """
    if not isinstance(columns, dict) or is_b64(columns):
        info = _only(inputs, "inputs", '"inputs" must be an object {input: values}', columns)
        return {info.name: decode_tensor(columns, info, lambda path: "inputs" + _index(path))}
    columns = by_input(columns, inputs, "inputs")
    if unknown := columns.keys() - inputs.keys():
        raise_unknown(unknown, inputs, "inputs")
    arrays = {
        name: decode_tensor(columns[name], info, lambda path, info=info: f"inputs.{info.shown}" + _index(path))  # type: ignore[misc]
        for name, info in inputs.items()
        if columns.get(name) is not None
    }
    return arrays


def decode_tensor(values: Any, info: TensorInfo, where: Where) -> np.ndarray[Any, Any]:
    """The tensor of an input, of values as JSON has them; a null means that a value is missing.

    Raises:
        BadRequestError: names the value that does not fit the input's type or shape.
    """
    if isinstance(values, list) and None in values:
        values = _fill_nulls(values, info, where)
    array = _strings(values, info, where) if info.is_string else _numbers(values, info, where)
    if not info.accepts(array.shape):
        _raise_shape(values, info, where)
    return array


def _fill_nulls(values: list[Any], info: TensorInfo, where: Where) -> list[Any]:
    if not info.nullable:
        needed = f"a value ({info.type_name}); {info.shown!r} may not be missing or null"
        raise BadRequestError(f"{where((values.index(None),))}: expected {needed}.")
    missing = np.full(open_as_one(info.row_shape), info.sentinel, dtype=info.dtype).tolist()
    missing = "" if missing == b"" else missing
    return [missing if value is None else value for value in values]


def _numbers(values: Any, info: TensorInfo, where: Where) -> np.ndarray[Any, Any]:
    if (takes := _TAKES.get(info.dtype.kind)) is None:
        raise BadRequestError(f"{where(())}: JSON has no numbers of type {info.dtype}. Ask by gRPC.")
    if are_plain(values, info.dtype):
        return np.array(values, info.dtype)
    flat = flattened(values)
    if flat is None or not flat.kinds <= takes:
        if not kinds_in(values) <= takes:
            _raise_type(values, info, where)
        _raise_shape(values, info, where)
    if info.dtype.kind in "iu" and flat.values:
        bounds = np.iinfo(info.dtype)
        if min(flat.values) < bounds.min or max(flat.values) > bounds.max:
            raise BadRequestError(f"{where(())}: a whole number is outside the range of {info.dtype}.")
    elif info.dtype.kind in "fV":
        return _decimals(values, flat.values, info, where).reshape(flat.shape)
    return np.array(flat.values, info.dtype).reshape(flat.shape)


def _decimals(values: Any, flat: list[Any], info: TensorInfo, where: Where) -> np.ndarray[Any, Any]:
    """The numbers of lists, once it is known that the type has each of them."""
    array = np.array(flat, np.float64)
    if (np.abs(array) > most_whole(info.dtype)).any():
        for path, value in _leaves(values):
            if wrong := objection(value, info.dtype):
                raise BadRequestError(f"{where(path)}: {wrong}. Received: {show(value)}")
    return array.astype(info.dtype)


def _strings(values: Any, info: TensorInfo, where: Where) -> np.ndarray[Any, Any]:
    flat = flattened(values)
    if flat is not None and flat.kinds <= {str}:
        texts = [value.encode() for value in flat.values]
        if info.is_date and len(flat.shape) == 1:
            _insist_on_dates(values, info, where)
    else:
        texts = [_bytes(value, info, where, path) for path, value in _leaves(values)]
    if flat is None:
        _raise_shape(values, info, where)
    array = np.empty(len(texts), dtype=object)
    array[:] = texts
    return array.reshape(flat.shape)


def _insist_on_dates(values: list[str], info: TensorInfo, where: Where) -> None:
    """Raises BadRequestError for a text that the model cannot read as a date: it would silently count as missing."""
    for row, value in enumerate(values):
        missing = info.feature is None or value.encode() in info.feature.missing_texts
        if not missing and not _DATE.fullmatch(value):
            raise BadRequestError(
                f"{where((row,))}: expected a date in ISO 8601, such as 2026-12-31 or 2026-12-31T23:59:59, for {info.name!r}. "
                f"Received: {show(value)}"
            )


def _bytes(value: Any, info: TensorInfo, where: Where, path: tuple[int, ...]) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):  # of a file; JSON has none
        return value
    if isinstance(value, bool) and info.booleans:
        return info.booleans[value].encode()
    if is_b64(value):
        return decode_b64(value, where(path))
    raise BadRequestError(
        f'{where(path)}: expected a string or {{"b64": "..."}} ({info.shown!r} is string). Received: {show(value)}'
    )


def decode_b64(value: Mapping[str, Any], where: str) -> bytes:
    """The bytes of TF Serving's `{"b64": "..."}`, with or without the padding at its end."""
    try:
        text = value["b64"]
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise BadRequestError(
            f"{where}: the value of b64 is not valid base64. Received: {show(value['b64'])}"
        ) from None


def hint_at_base64(arrays: Arrays) -> str:
    """What to add to a refusal where a text looks like an image file in base64, which JSON has to mark as such; else empty."""
    for name, array in arrays.items():
        if array.dtype.kind == "O" and any(str(one, "latin-1").startswith(_IMAGES) for one in array.flat):
            return f' The text of {name!r} looks like base64: send {{"b64": "..."}} in its place.'
    return ""


def _leaves(values: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    if not isinstance(values, list):
        yield path, values
        return
    if len(path) >= MOST_NESTED:
        raise BadRequestError(f"lists are nested more than {MOST_NESTED} deep.")
    for index, value in enumerate(values):
        if isinstance(value, list):
            yield from _leaves(value, (*path, index))
        else:
            yield (*path, index), value


def _raise_type(values: Any, info: TensorInfo, where: Where) -> None:
    kind = info.dtype.kind
    for path, value in _leaves(values):
        good = isinstance(value, bool) == (kind == "b") and isinstance(value, (int, float) if kind in "fV" else int)
        if not good:
            raise BadRequestError(
                f"{where(path)}: expected {_EXPECTED[kind]} ({info.type_name}). Received: {show(value)}"
            )


def _raise_shape(values: Any, info: TensorInfo, where: Where) -> NoReturn:
    """Raises BadRequestError for the first row whose shape is not that of the signature."""
    if isinstance(values, list) and values and info.shape != ():
        wanted = info.row_shape
        for row, value in enumerate(values):
            found = flattened(value)
            if found is None or not dataclasses.replace(info, shape=wanted).accepts(found.shape):
                received = _show_row(found.shape) if found else _UNEQUAL
                raise BadRequestError(
                    f"{where((row,))}: expected {_show_row(wanted)} for {info.shown!r}. Received: {received}"
                )
            wanted = found.shape  # dimensions that the signature leaves open must be equal in all rows of a request
    whole = flattened(values)
    raise BadRequestError(
        f"{where(())}: expected shape {show_shape(info.shape)} for {info.shown!r}. "
        f"Received: {list(whole.shape) if whole else _UNEQUAL}"
    )


def _show_row(shape: tuple[int | None, ...] | None) -> str:
    return "a single value" if shape == () else f"shape {show_shape(shape)}"


def _in_row(name: str, instances: list[dict[str, Any]]) -> Where:
    """Where a value of a named input is, e.g. instances[3].fare."""

    def where(path: tuple[int, ...]) -> str:
        if not path:
            return f"instances, input {name!r}"
        return f"instances[{path[0]}].{name}" + _index(path[1:])

    return where


def _index(path: tuple[int, ...]) -> str:
    return "".join(f"[{index}]" for index in path)


def _only(inputs: Mapping[str, TensorInfo], field: str, needed: str, received: Any) -> TensorInfo:
    if len(inputs) == 1:
        return next(iter(inputs.values()))
    raise BadRequestError(
        f"{field}: this signature has {len(inputs)} inputs ({shown_names(inputs.values())}), so {needed}. "
        f"Received: {show(received)}"
    )


def raise_unknown(unknown: Collection[str], inputs: Mapping[str, TensorInfo], where: str) -> NoReturn:
    """Raises BadRequestError for names that no input has."""
    raise BadRequestError(f"{where}: there is no input {sorted(unknown)[0]!r}. Known: {shown_names(inputs.values())}")


def is_b64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}
