"""Requests as HTML forms and `curl -F` send them (RFC 7578): files as they are, one row for each."""

from __future__ import annotations

import email.message
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from serving.codec.signature import TensorInfo
from serving.codec.tensors import by_input
from serving.errors import BadRequestError

MEDIA_TYPE = "multipart/form-data"
_FILE_NAMES = ("image", "file")
"""What a part with a file may be called besides the input, where only one input takes bytes."""
_DISPOSITION = "content-disposition"
_MOST_HEAD_BYTES = 8192
_MOST_HEADER_CHARACTERS = 2048  # to read one takes time that grows with its square
_MOST_REPEATED_BYTES = 16 << 20


def is_form(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() == MEDIA_TYPE


def signature_name(parts: Mapping[str, list[str | bytes]]) -> str:
    """The field `signature_name`, as in a JSON body; empty without one."""
    name = parts.get("signature_name", [""])[0]
    return name if isinstance(name, str) else name.decode("utf-8", "replace")


def parse_form(body: bytes, content_type: str) -> dict[str, list[str | bytes]]:
    """The values of each field, in their order: text of fields, bytes of files.

    Raises:
        BadRequestError: the body is not a form.
    """
    boundary = _said(lambda header: header.get_boundary(), "content-type", content_type)
    if not boundary:
        raise BadRequestError(f"Content-Type has no boundary. Received: {content_type[:100]!r}")
    parts: dict[str, list[str | bytes]] = {}
    for head, content in _split(body, boundary.encode("latin-1", "replace")):
        name, is_file = _disposition(head)
        parts.setdefault(name, []).append(content if is_file else _text(name, content))
    return parts


def decode_form(parts: Mapping[str, list[str | bytes]], inputs: Mapping[str, TensorInfo]) -> list[dict[str, Any]]:
    """A form's rows, as `instances`: a field with several values has one for each row, one with a single value has it in all of them.

    Raises:
        BadRequestError: names the field that does not fit.
    """
    given = {_input_of(name, inputs): values for name, values in parts.items() if name != "signature_name"}
    columns = by_input(given, inputs, "form")
    if not columns:
        raise BadRequestError(f"the form has no field. Known: {', '.join(info.shown for info in inputs.values())}")
    rows = max(map(len, columns.values()))
    for name, values in columns.items():
        if len(values) not in (1, rows):
            raise BadRequestError(
                f"form, field {name!r}: has {len(values)} values, others have {rows}. Give one for each row, or one for all."
            )
        if len(values) == 1 and len(values[0]) * rows > _MOST_REPEATED_BYTES:
            raise BadRequestError(
                f"form, field {name!r}: a value of {len(values[0]):,} bytes is given once for {rows:,} rows; give each row its own."
            )
    read = {name: [_value(name, one, inputs.get(name)) for one in values] for name, values in columns.items()}
    return [{name: values[row % len(values)] for name, values in read.items()} for row in range(rows)]


def _split(body: bytes, boundary: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Head and content of each part."""
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not parts or not parts[-1].startswith(b"--"):
        raise BadRequestError("the form ends before its last boundary.")
    for part in parts[:-1]:
        head, found, content = part.partition(b"\r\n\r\n")
        if not found:
            raise BadRequestError("a part of the form has no empty line after its headers.")
        yield head, content


def _disposition(head: bytes) -> tuple[str, bool]:
    """The name of a part's field, and whether it is a file."""
    if len(head) > _MOST_HEAD_BYTES:
        raise BadRequestError(f"a part of the form has headers of {len(head):,} bytes; at most {_MOST_HEAD_BYTES:,}.")
    lines = (line.partition(":") for line in head.decode("utf-8", "replace").split("\r\n"))
    said = next((value.strip() for name, _, value in lines if name.strip().lower() == _DISPOSITION), "")
    field = _said(lambda part: part.get_param("name", header=_DISPOSITION), _DISPOSITION, said)
    if not isinstance(field, str) or not field:
        raise BadRequestError(
            'a part of the form has no Content-Disposition with a name, e.g. form-data; name="image".'
        )
    return field, _said(lambda part: part.get_filename(), _DISPOSITION, said) is not None


def _said(find: Callable[[email.message.Message], Any], name: str, value: str) -> Any:
    """What is found in a header."""
    if len(value) > _MOST_HEADER_CHARACTERS:
        raise BadRequestError(
            f"the form's {name} has {len(value):,} characters; at most {_MOST_HEADER_CHARACTERS:,}. Received: {value[:100]!r}"
        )
    message = email.message.Message()
    try:
        message[name] = value
        return find(message)
    except (ValueError, TypeError):  # of parameters in parts and encodings (RFC 2231), which forms do not have
        raise BadRequestError(f"the form's {name} is not valid. Received: {value[:100]!r}") from None


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise BadRequestError(
            f"form, field {name!r}: is not UTF-8 text. Send it as a file: curl -F {name}=@path"
        ) from None


def _input_of(name: str, inputs: Mapping[str, TensorInfo]) -> str:
    """The input that a field is for: of its name, or the only one that takes bytes, for `image` and `file`."""
    known = {*inputs, *(info.column for info in inputs.values())}
    texts = [info.name for info in inputs.values() if info.is_string]
    return texts[0] if name in _FILE_NAMES and name not in known and len(texts) == 1 else name


def _value(name: str, value: str | bytes, info: TensorInfo | None) -> Any:
    """What JSON would say: numbers and lists are written as there, texts without quotes."""
    if info is None or isinstance(value, bytes) or (info.is_string and info.row_shape == ()):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        wanted = "a list in JSON" if info.row_shape else info.type_name
        raise BadRequestError(f"form, field {name!r}: expected {wanted}. Received: {value[:60]!r}") from None
