"""Drafting a workload's suite: its data and its schema in, a GX suite out."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Collection, Sequence
from typing import Any

import pyarrow as pa

import storage
from components.data_quality.contract import check_contract
from quality.contracts import _merging
from quality.contracts._facts import look
from quality.contracts._ranking import most_useful
from quality.contracts._relations import relate
from quality.contracts._rules import Expectation, rules
from spec.errors import InputError


def draft(
    rows: pa.Table, schema: Any, label: str | None, task: str, keys: Collection[str] = (), earlier: Sequence[int] = ()
) -> list[Expectation]:
    """The most useful of the expectations that `draft_all` finds: few enough for a data team to read."""
    return most_useful(draft_all(rows, schema, label, task, keys, earlier))


def draft_all(
    rows: pa.Table, schema: Any, label: str | None, task: str, keys: Collection[str] = (), earlier: Sequence[int] = ()
) -> list[Expectation]:
    """All expectations that hold in some rows; the same rows give the same.

    Args:
        label: the column to predict; None where the task needs none.
        keys: columns that name a row.
        earlier: rows of earlier spans.

    Raises:
        InputError: there is no row.
    """
    if not rows.num_rows:
        raise InputError("the data has no rows: nothing can be drafted from it. Name a span that has some (--data).")
    facts = look(rows, schema, keys)
    return rules(facts, relate(rows, facts), label, task, rows.num_rows, earlier)


def merge_into(path: pathlib.Path, drafted: Sequence[Expectation]) -> tuple[dict[str, Any], list[_merging.Change]]:
    """A suite's file merged with a new draft, and the changes; nothing is written.

    Raises:
        InputError: the file is no suite.
    """
    from components.data_quality.suite_format import read_format

    return _merging.merge(read_format(path) if path.exists() else None, drafted, path.parent.name)


def suite_text(suite: dict[str, Any]) -> str:
    """A suite as the text of its file."""
    return json.dumps(suite, indent=2, ensure_ascii=False) + "\n"


def write_suite(path: pathlib.Path, suite: dict[str, Any], schema_folder: pathlib.Path) -> None:
    """Writes a suite atomically, unless it contradicts the schema.

    Raises:
        InputError: it contradicts the schema; names the place.
    """
    text = suite_text(suite)
    check_contract(path, schema_folder, text=text)
    storage.write(str(path), text.encode())
