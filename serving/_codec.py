"""JSON to tensors and back, by TF Serving's conventions (row form and column form).

Numbers go through NumPy a column at a time; they are visited one by one only to find an invalid value.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import dataclasses
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
import orjson

from serving._errors import BadRequestError
from serving._lossless import has_booleans, most_whole, objection
from serving._signature import TensorInfo, show_shape
from spec.pictures import too_large

Arrays = dict[str, "np.ndarray[Any, Any]"]
_Where = Callable[[tuple[int, ...]], str]

_IMAGES = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR")  # how a JPEG, a PNG, a GIF and a WebP begin in base64
_FIELDS = (b'"instances"', b'"inputs"', b'"examples"', b'"context"', b'"signature_name"')
_MOST_NESTED = 32  # lists in lists; NumPy and TensorFlow take few more
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_TAKES = {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "V": "fiu"}  # V: bfloat16 and similar
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
            f'the body must be a JSON object, e.g. {{"instances": [...]}}. Received: {_show(document)}'
        )
    return document


def _parse(body: bytes) -> Any:
    if all(body.count(field) < 2 for field in _FIELDS):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            if b"NaN" not in body and b"Infinity" not in body:
                raise
    document = json.loads(body, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    try:
        orjson.dumps(document)
    except TypeError as error:
        if "surrogates" in str(error):  # half a character, which no encoding has
            raise ValueError(error) from None
    return document


def decode_predict(document: Mapping[str, Any], inputs: Mapping[str, TensorInfo]) -> tuple[Arrays, bool]:
    """The tensors of a predict request.

    Returns:
        The tensors by input name, and whether the request is in row form ("instances").

    Raises:
        BadRequestError: names the row and the input that do not fit.
    """
    if ("instances" in document) == ("inputs" in document):
        found = ", ".join(sorted(document)) or "an empty object"
        raise BadRequestError(
            f'the body needs either "instances" (row form) or "inputs" (column form). Received: {found}'
        )
    if "instances" in document:
        return _decode_rows(document["instances"], inputs), True
    return _decode_columns(document["inputs"], inputs), False


def _decode_rows(instances: Any, inputs: Mapping[str, TensorInfo]) -> Arrays:
    if not isinstance(instances, list) or not instances:
        raise BadRequestError(f'"instances" must be a list of at least one instance. Received: {_show(instances)}')
    if isinstance(instances[0], dict) and not _is_b64(instances[0]):
        known, renamed = inputs.keys(), any(info.column for info in inputs.values())
        for row, instance in enumerate(instances):
            if not isinstance(instance, dict):
                raise BadRequestError(
                    f"instances[{row}]: expected an object, as the first is. Received: {_show(instance)}"
                )
            if renamed:
                instances[row] = instance = by_input(instance, inputs, f"instances[{row}]")
            if not instance.keys() <= known:
                _raise_unknown(instance.keys() - known, inputs, f"instances[{row}]")
        return {
            name: _tensor([instance.get(name) for instance in instances], info, _in_row(info.shown, instances))
            for name, info in inputs.items()
        }
    info = _only(inputs, "instances", "each instance must be an object {input: value}", instances[0])
    return {info.name: _tensor(instances, info, lambda path: "instances" + _index(path))}


def _decode_columns(columns: Any, inputs: Mapping[str, TensorInfo]) -> Arrays:
    if not isinstance(columns, dict) or _is_b64(columns):
        info = _only(inputs, "inputs", '"inputs" must be an object {input: values}', columns)
        return {info.name: _tensor(columns, info, lambda path: "inputs" + _index(path))}
    columns = by_input(columns, inputs, "inputs")
    if unknown := columns.keys() - inputs.keys():
        _raise_unknown(unknown, inputs, "inputs")
    arrays = {
        name: _tensor(columns[name], info, lambda path, info=info: f"inputs.{info.shown}" + _index(path))  # type: ignore[misc]
        for name, info in inputs.items()
        if columns.get(name) is not None
    }
    return fill_missing(arrays, inputs)


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
                f"input {info.shown!r} is missing. Needed: {_names(i for i in inputs.values() if not i.nullable)}"
            )
        rows = next((array.shape[0] for array in arrays.values() if array.ndim), 1)
        arrays[name] = np.full((rows, *_known(info.row_shape)), info.sentinel, dtype=info.dtype)
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
        received = _show_value(array[is_missing][0])
        raise BadRequestError(
            f"row {row}, input {info.shown!r}: expected a value ({info.type_name}). Received: {received}, which means that it is "
            "missing."
        )
    settled = array.copy()
    settled[is_missing] = info.sentinel
    return settled


def _show_value(value: Any) -> str:
    return _show(value.decode("utf-8", "replace")) if isinstance(value, bytes) else str(value)


def _tensor(values: Any, info: TensorInfo, where: _Where) -> np.ndarray[Any, Any]:
    if isinstance(values, list) and None in values:
        values = _fill_nulls(values, info, where)
    array = _strings(values, info, where) if info.is_string else _numbers(values, info, where)
    if not info.accepts(array.shape):
        _raise_shape(values, info, where)
    return array


def _fill_nulls(values: list[Any], info: TensorInfo, where: _Where) -> list[Any]:
    if not info.nullable:
        needed = f"a value ({info.type_name}); {info.shown!r} may not be missing or null"
        raise BadRequestError(f"{where((values.index(None),))}: expected {needed}.")
    missing = np.full(_known(info.row_shape), info.sentinel, dtype=info.dtype).tolist()
    missing = "" if missing == b"" else missing
    return [missing if value is None else value for value in values]


def _numbers(values: Any, info: TensorInfo, where: _Where) -> np.ndarray[Any, Any]:
    if (takes := _TAKES.get(info.dtype.kind)) is None:
        raise BadRequestError(f"{where(())}: JSON has no numbers of type {info.dtype}. Ask by gRPC.")
    try:
        array = np.array(values)
    except (ValueError, OverflowError, RecursionError):  # lists of unequal length, or an integer beyond 64 bits
        array = np.empty((), dtype=object)
    kind = info.dtype.kind
    if array.size and (
        array.dtype.kind not in takes
        or (kind != "b" and ((array == 0) | (array == 1)).any() and has_booleans(values, array.ndim))
    ):
        _raise_type(values, info, where)
        _raise_shape(values, info, where)
    if kind in "iu" and array.size:
        bounds = np.iinfo(info.dtype)
        if int(array.min()) < bounds.min or int(array.max()) > bounds.max:
            raise BadRequestError(f"{where(())}: a whole number is outside the range of {info.dtype}.")
    elif kind in "fV" and (np.abs(array.astype(np.float64)) > most_whole(info.dtype)).any():
        for path, value in _leaves(values):
            if wrong := objection(value, info.dtype):
                raise BadRequestError(f"{where(path)}: {wrong}. Received: {_show(value)}")
    with np.errstate(over="ignore"):
        return array.astype(info.dtype)


def _strings(values: Any, info: TensorInfo, where: _Where) -> np.ndarray[Any, Any]:
    if isinstance(values, list) and all(type(value) is str for value in values):
        shape: tuple[int, ...] = (len(values),)
        flat = [value.encode() for value in values]
        if info.is_date:
            _insist_on_dates(values, info, where)
    else:
        shape = _shape(values)
        flat = [_bytes(value, info, where(path)) for path, value in _leaves(values)]
    array = np.empty(len(flat), dtype=object)
    array[:] = flat
    try:
        return array.reshape(shape)
    except ValueError:
        _raise_shape(values, info, where)


def _insist_on_dates(values: list[str], info: TensorInfo, where: _Where) -> None:
    """Raises BadRequestError for a text that the model cannot read as a date: it would silently count as missing."""
    for row, value in enumerate(values):
        missing = info.feature is None or value.encode() in info.feature.missing_texts
        if not missing and not _DATE.fullmatch(value):
            raise BadRequestError(
                f"{where((row,))}: expected a date in ISO 8601, such as 2026-12-31 or 2026-12-31T23:59:59, for {info.name!r}. "
                f"Received: {_show(value)}"
            )


def _bytes(value: Any, info: TensorInfo, where: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):  # of a file; JSON has none
        return value
    if isinstance(value, bool) and info.booleans:
        return info.booleans[value].encode()
    if _is_b64(value):
        return decode_b64(value, where)
    raise BadRequestError(
        f'{where}: expected a string or {{"b64": "..."}} ({info.shown!r} is string). Received: {_show(value)}'
    )


def decode_b64(value: Mapping[str, Any], where: str) -> bytes:
    """The bytes of TF Serving's `{"b64": "..."}`, with or without the padding at its end."""
    try:
        text = value["b64"]
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise BadRequestError(
            f"{where}: the value of b64 is not valid base64. Received: {_show(value['b64'])}"
        ) from None


def hint_at_base64(arrays: Arrays) -> str:
    """What to add to a refusal where a text looks like an image file in base64, which JSON has to mark as such; else empty."""
    for name, array in arrays.items():
        if array.dtype.kind == "O" and any(str(one, "latin-1").startswith(_IMAGES) for one in array.flat):
            return f' The text of {name!r} looks like base64: send {{"b64": "..."}} in its place.'
    return ""


def _leaves(values: Any, path: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    if len(path) > _MOST_NESTED:
        raise BadRequestError(f"lists are nested more than {_MOST_NESTED} deep.")
    if isinstance(values, list):
        for index, value in enumerate(values):
            yield from _leaves(value, (*path, index))
    else:
        yield path, values


def _shape(values: Any) -> tuple[int, ...]:
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0] if values else None
    return tuple(shape)


def _raise_type(values: Any, info: TensorInfo, where: _Where) -> None:
    kind = info.dtype.kind
    for path, value in _leaves(values):
        good = isinstance(value, bool) == (kind == "b") and isinstance(value, (int, float) if kind in "fV" else int)
        if not good:
            raise BadRequestError(
                f"{where(path)}: expected {_EXPECTED[kind]} ({info.type_name}). Received: {_show(value)}"
            )
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise BadRequestError(f"{where(path)}: {value} is outside the range of {info.dtype}.")


def _raise_shape(values: Any, info: TensorInfo, where: _Where) -> NoReturn:
    """Raises BadRequestError for the first row whose shape is not that of the signature."""
    if isinstance(values, list) and values and info.shape != ():
        wanted = info.row_shape
        for row, value in enumerate(values):
            found = _shape(value)
            depths = [len(path) for path, _ in _leaves(value)]
            ragged = depths != [len(found)] * int(np.prod(found, dtype=np.int64))
            if ragged or not dataclasses.replace(info, shape=wanted).accepts(found):
                received = "lists of unequal length" if ragged else _show_row(found)
                raise BadRequestError(
                    f"{where((row,))}: expected {_show_row(wanted)} for {info.shown!r}. Received: {received}"
                )
            wanted = found  # dimensions that the signature leaves open must be equal in all rows of a request
    raise BadRequestError(
        f"{where(())}: expected shape {show_shape(info.shape)} for {info.shown!r}. Received: {list(_shape(values))}"
    )


def _show_row(shape: tuple[int | None, ...] | None) -> str:
    return "a single value" if shape == () else f"shape {show_shape(shape)}"


def _in_row(name: str, instances: list[dict[str, Any]]) -> _Where:
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
        f"{field}: this signature has {len(inputs)} inputs ({_names(inputs.values())}), so {needed}. "
        f"Received: {_show(received)}"
    )


def _raise_unknown(unknown: Any, inputs: Mapping[str, TensorInfo], where: str) -> None:
    raise BadRequestError(f"{where}: there is no input {sorted(unknown)[0]!r}. Known: {_names(inputs.values())}")


def _names(infos: Any) -> str:
    return ", ".join(info.shown for info in infos)


def _known(shape: tuple[int | None, ...] | None) -> tuple[int, ...]:
    return tuple(1 if n is None else n for n in shape or ())


def _is_b64(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def _show(value: Any) -> str:
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        text = "lists in lists"
    return text if len(text) <= 60 else text[:57] + "..."


def encode_predict(outputs: Arrays, row_form: bool, rows: int, classes: Sequence[str] = ()) -> bytes:
    """The answer to a predict request; a single output has no name.

    Args:
        rows: how many instances the request had (row form only).
        classes: those of the model, for an answer that says by name how probable each of them is; empty: one without.

    Raises:
        BadRequestError: the outputs do not have a row for each instance, or no probabilities for the classes.
    """
    named = {"classes": _by_class(outputs, classes)} if classes else {}
    if not row_form:
        columns = {name: _jsonable(name, array) for name, array in outputs.items()} | named
        return _dump({"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}, outputs)
    for name, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != rows:
            raise BadRequestError(
                f"output {name!r} has shape {list(array.shape)}, not one row for each of the {rows} instances; "
                'ask in column form ("inputs").'
            )
    listed = {name: _by_row(name, array) for name, array in outputs.items()} | named
    if len(listed) == 1:
        return _dump({"predictions": next(iter(listed.values()))}, outputs)
    names = tuple(listed)
    return _dump(
        {"predictions": [dict(zip(names, row, strict=True)) for row in zip(*listed.values(), strict=True)]}, outputs
    )


def _by_class(outputs: Arrays, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Of each row the classes with their probabilities, the most probable first."""
    probabilities = outputs.get("probabilities")
    if probabilities is None and "probability" in outputs and len(classes) == 2:
        positive = outputs["probability"]
        probabilities = np.stack([1 - positive, positive], axis=1)
    if probabilities is None or probabilities.shape[1:] != (len(classes),):
        raise BadRequestError('"classes": this signature answers no probabilities of classes; leave it out.')
    orders = np.argsort(-probabilities, axis=1, kind="stable").tolist()
    return [{classes[i]: row[i] for i in order} for row, order in zip(probabilities, orders, strict=True)]


def _by_row(name: str, array: np.ndarray[Any, Any]) -> list[Any]:
    plain = _jsonable(name, array)
    return plain if isinstance(plain, list) else list(plain)


def _jsonable(name: str, array: np.ndarray[Any, Any]) -> Any:
    """An array that orjson can write (float32 in its shortest form), or nested lists of strings."""
    if array.dtype.kind == "O":
        return _text(array.tolist(), name.endswith("_bytes"))
    if array.dtype.kind == "V":
        array = array.astype(np.float32)
    return np.ascontiguousarray(array) if array.ndim else array[()]


def _text(value: Any, binary: bool) -> Any:
    if isinstance(value, list):
        return [_text(item, binary) for item in value]
    raw = value if isinstance(value, bytes) else str(value).encode()
    if not binary:
        try:
            return raw.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(raw).decode()}


def _dump(document: dict[str, Any], outputs: Arrays) -> bytes:
    if all(array.dtype.kind != "f" or np.isfinite(array).all() for array in outputs.values()):
        return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)
    # JSON has no NaN, and orjson would write null; like TF Serving, write NaN, Infinity and -Infinity.
    return json.dumps(document, default=_floats).encode()


def _floats(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_floats(item) for item in value] if value.ndim else _floats(value[()])
    if isinstance(value, np.floating):
        return float(str(value))  # through text: 0.1 as float32 is 0.1, not 0.10000000149
    return value.item()


def encode_classify(classes: np.ndarray[Any, Any] | None, scores: np.ndarray[Any, Any]) -> bytes:
    """The answer to a classify request: for each example a list of [class, score]; "" for a class without a name."""
    labels = np.full(scores.shape, b"", dtype=object) if classes is None else classes
    rows = zip(_text(labels.tolist(), binary=False), scores, strict=True)
    return _dump({"results": [list(zip(names, row, strict=True)) for names, row in rows]}, {"scores": scores})


def encode_regress(values: np.ndarray[Any, Any]) -> bytes:
    """The answer to a regress request: one number for each example."""
    return _dump({"results": values}, {"outputs": values})
