"""Checks a workload's contracts against each other: schema.pbtxt, expectations.json, waivers.yaml. Without GX and TFX."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Collection, Sequence

from components import code_files
from components.data_quality import waivers
from components.data_quality._contradictions import contradictions
from components.data_quality.suite_format import read_format
from components.schema import read_schema
from spec.errors import InputError

_MOST_NAMED = 5


def check_contract(
    suite_file: str | os.PathLike[str],
    schema_folder: str | os.PathLike[str],
    left_out: Collection[str] = (),
    text: str | None = None,
) -> None:
    """Checks a suite against its schema, and its waivers.

    Args:
        left_out: columns that are not read, and whose expectations are not checked.
        text: of the suite, where its file is still to be written.

    Raises:
        InputError: a file is malformed, or the suite contradicts the schema; names file and place of each contradiction.
    """
    suite, schema = pathlib.Path(suite_file), read_schema(os.fspath(schema_folder), left_out)
    raw = read_format(suite, {feature.name for feature in schema.feature} | set(left_out), text)
    waivers.read_waivers(waivers.beside(suite))
    found = [f"{suite}, {where}: {why}" for where, why in contradictions(raw["expectations"], schema, left_out)]
    if found:
        more = f"; and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
        raise InputError(f"{'; '.join(one.rstrip('.') for one in found[:_MOST_NAMED])}{more}.")


def digest(suite_file: str | os.PathLike[str], code: Sequence[str | os.PathLike[str]] = ()) -> str:
    """SHA-256 of a suite, of the files beside it, and of the folders with its own classes if it names any.

    Schema and waivers are not included, because they are inputs of their own.

    Raises:
        InputError: there is no such file.
    """
    path = pathlib.Path(suite_file)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file. A workload needs a suite (docs/guides/data-quality.md).")
    text = path.read_bytes()
    folders = code if _names_classes(text) else ()
    beside = code_files.digest(path.parent, without=(path.name, waivers.FILE_NAME, "schema.pbtxt"))
    return hashlib.sha256(
        b"".join([text, beside.encode(), *(code_files.digest(f).encode() for f in folders)])
    ).hexdigest()


def _names_classes(text: bytes) -> bool:
    try:
        return any("." in str(one["type"]) for one in json.loads(text)["expectations"])
    except (ValueError, KeyError, TypeError):
        return False  # `check_contract` says what is wrong with it


def check_suite(suite_file: str | os.PathLike[str], schema_folder: str | os.PathLike[str]) -> None:
    """Raises InputError, with file and place, if a suite cannot be run on a schema; imports Great Expectations."""
    from components.data_quality import _suite

    check_contract(suite_file, schema_folder)
    columns = {feature.name for feature in read_schema(os.fspath(schema_folder)).feature}
    _suite.read_suite(suite_file, columns)
