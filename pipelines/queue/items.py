"""What an item may say: rows, or a file of rows; and which files it may name."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import urllib.parse
from collections.abc import Sequence
from typing import Any

import storage
from pipelines.queue.queues import Delivery
from spec.errors import InputError
from spec.words import one_line

MOST_BYTES = 64 * 2**20
"""Of an item's JSON document; more rows go into a file."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
_EXAMPLE = '{"id": "order-17", "instances": [{"fare": 12.5}]}'


@dataclasses.dataclass(frozen=True)
class Item:
    """One piece of work.

    Attributes:
        id: names its result: what has the id of an item that was answered is not answered again.
        rows: in the item itself; None where they are in a file.
        uri: of that file; empty without one.
        format: of that file, jsonl or parquet.
    """

    id: str
    rows: Sequence[Any] | None = None
    uri: str = ""
    format: str = ""


def read(delivery: Delivery, allowed: Sequence[str]) -> Item:
    """What a queue handed over.

    Args:
        allowed: beginnings of the URIs that an item may name, as `allowed_prefix` gives them.

    Raises:
        InputError: it is no item, or names a file that it may not.
    """
    file = delivery.file
    if file is None:
        return _from_document(delivery.document, delivery.key, allowed)
    if file.is_symlink() or not file.is_file():
        raise InputError("is a link or no file. Put the file itself into the queue.", file=file.name)
    if file.suffix == ".json":
        if file.stat().st_size > MOST_BYTES:
            raise InputError(_too_large(file.stat().st_size), file=file.name)
        return _from_document(file.read_bytes(), delivery.key, allowed)
    return Item(_checked(delivery.key), uri=str(file), format=_format(file.name))


def allowed_prefix(uri: str) -> str:
    """A folder or URL as `--allow` takes it, so that every URI below it begins with the result."""
    return _plain(uri).rstrip("/") + "/"


def _from_document(document: bytes, key: str, allowed: Sequence[str]) -> Item:
    if len(document) > MOST_BYTES:
        raise InputError(_too_large(len(document)))
    try:
        said = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {one_line(error, 200)}. Send an object, e.g. {_EXAMPLE}.") from None
    if (
        not isinstance(said, dict)
        or ("instances" in said) == ("uri" in said)
        or said.keys() - {"id", "instances", "uri"}
    ):
        found = ", ".join(map(str, said)) if isinstance(said, dict) else type(said).__name__
        raise InputError(f'expected "instances" or "uri", and perhaps "id". Received: {found[:200]}. E.g. {_EXAMPLE}.')
    name, rows, uri = _checked(said.get("id", key)), said.get("instances"), said.get("uri")
    if uri is None:
        if not isinstance(rows, list) or not rows:
            raise InputError(f'"instances" must be a list of at least one row. Received: {str(rows)[:100]}.')
        return Item(name, rows)
    if not isinstance(uri, str):
        raise InputError(f'"uri" must be text. Received: {str(uri)[:100]}.')
    place = _plain(uri)
    if not place.startswith(tuple(allowed)):
        raise InputError(f"uri {uri[:200]!r}: is not below what --allow names ({', '.join(allowed) or 'nothing'}).")
    return Item(name, uri=place, format=_format(place))


def _checked(name: Any) -> str:
    if not isinstance(name, str) or not _ID.fullmatch(name):
        raise InputError(
            "its id, which names a file, must be letters, digits, `.`, `_` and `-`, 200 at most, the first a letter or a digit. "
            f"Received: {str(name)[:200]!r}."
        )
    return name


def _format(name: str) -> str:
    if found := _FORMATS.get(pathlib.PurePosixPath(name).suffix):
        return found
    raise InputError(f"{name[-200:]}: expected a name that ends in {', '.join(_FORMATS)}, or .json for an item.")


def _plain(uri: str) -> str:
    """A URI in the one spelling that prefixes are compared in: a path without links, a URL without anything that leads elsewhere."""
    if not storage.is_remote(uri):
        return os.path.realpath(pathlib.Path(uri.removeprefix("file://")).expanduser())
    # fsspec chains file systems by `::`, and a web server resolves `..`, spelt whichever way.
    parts = urllib.parse.unquote(uri).partition("://")[2].split("/")
    if "::" in uri or ".." in parts or "\\" in uri:
        raise InputError(f"uri {uri[:200]!r}: has `..`, `::` or a backslash. Name the file plainly.")
    return uri


def _too_large(size: int) -> str:
    return f"has {size:,} bytes; {MOST_BYTES:,} at most. Put the rows into a file, .jsonl or .parquet."
