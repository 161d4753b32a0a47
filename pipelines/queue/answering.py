"""The release that answers a queue's items: loaded once, exchanged when its label moves; items in, tables out."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from components.batch_inference.input import columns_for, source_types
from components.batch_inference.output import answer_columns
from components.batch_inference.predicting import Part, Predictor
from components.ingestion import sources
from components.ingestion.bad_rows import BadRow
from components.ingestion.rows import read_rows
from components.served_model import ServedModel
from model_store import KERAS_FILE, VARIANTS_FOLDER, ModelStore, StoreError
from pipelines.queue import rows
from pipelines.queue.items import Item
from spec.errors import InputError, TryAgainError
from spec.words import one_line
from spec.workload import Read

_LOOK_S = 10.0
"""How often a label is looked up."""


@dataclasses.dataclass(frozen=True)
class Answered:
    """An item's result.

    Attributes:
        table: `item`, `row`, the columns that batch inference writes, `model_version`, and `column` and `reason` where a row has no
            answer.
        failed: how many of them there are.
    """

    table: pa.Table
    failed: int


class Release:
    """A version in memory.

    Args:
        folder: where it is copied to; of this process alone.

    Raises:
        StoreError: the store has no such version, or its bytes are not those that were published.
        InputError: it does not load.
    """

    def __init__(self, store: ModelStore, name: str, version: int, folder: pathlib.Path) -> None:
        saved_model = store.fetch(name, version, folder, without=(KERAS_FILE, VARIANTS_FOLDER))
        self.version = version
        self._model = ServedModel.read(saved_model)
        self._predictor = Predictor(saved_model, self._model)
        types = self._model.kind.prediction_types()
        self._schema = pa.schema(
            [
                ("item", pa.string()),
                ("row", pa.int64()),
                *types.items(),
                ("model_version", pa.int64()),
                ("column", pa.string()),
                ("reason", pa.string()),
            ]
        )
        words = {name: feature.na_values for name, feature in self._model.features.items()}
        self._read = Read(na_values=(), na_values_by_column=words)  # what is missing means what it meant in training

    def answer(self, items: Sequence[Item], scratch: pathlib.Path) -> list[Answered | InputError]:
        """Predicts for items, several of them in one call; an error says why an item has no answer at all.

        Args:
            items: with rows of their own, or one alone.
            scratch: folder for what is read.

        Raises:
            TryAgainError: the place of a file does not answer.
        """
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            try:
                return self._answer(items, pathlib.Path(folder))
            except InputError as error:
                if len(items) == 1:
                    return [error]
        return [
            found for item in items for found in self.answer([item], scratch)
        ]  # one of them spoils it for the others

    def _answer(self, items: Sequence[Item], folder: pathlib.Path) -> list[Answered | InputError]:
        (first, *_) = items
        if first.rows is None:
            path = _brought(first.uri, folder)
            try:
                return [_of_one(first, self._table(path, first.format))]
            except InputError as error:
                raise error.renamed(path, first.uri) from None
        given = [item.rows or () for item in items]
        path, format = rows.write([row for some in given for row in some], list(self._model.features), folder)
        try:
            table = self._table(path, format)
        except InputError as error:
            raise error.renamed(path, first.id) from None
        ends = list(itertools.accumulate(map(len, given)))
        if table.num_rows != ends[-1]:
            raise RuntimeError(f"{ends[-1]} rows were given and {table.num_rows} answered")
        return [
            _of_one(item, table.slice(start, end - start))
            for item, start, end in zip(items, [0, *ends], ends, strict=False)
        ]

    def _table(self, path: pathlib.Path, format: str) -> pa.Table:
        """Every row of a file, in its order, with its answer or the reason that it has none."""
        columns = columns_for(self._model, (), source_types(path, format, self._read), str(path), format)
        # What an item leaves out is missing in each of its rows, as at the model server, whatever others bring.
        columns = [dataclasses.replace(column, optional=True) for column in columns]
        tables = [self._schema.empty_table()]
        for found in read_rows(path, format, columns, None, reading=self._read):
            tables.append(self._of_bad_rows(found.bad))
            for part in self._predictor.parts(found):
                tables.append(self._of_bad_rows(part.bad))
                if part.rows.batch.num_rows:
                    tables.append(self._of_answers(part))
        return pa.concat_tables(tables).sort_by("row").combine_chunks()

    def _of_answers(self, part: Part) -> pa.Table:
        count = part.rows.batch.num_rows
        answers = dict(zip(self._model.kind.prediction_types(), answer_columns(self._model, part.answers), strict=True))
        return self._filled({"row": pa.array(part.rows.numbers), **answers}, count)

    def _of_bad_rows(self, bad: Sequence[BadRow]) -> pa.Table:
        said = {name: pa.array([getattr(one, name) for one in bad]) for name in ("row", "column", "reason")}
        return self._filled(said, len(bad))

    def _filled(self, columns: Mapping[str, pa.Array], count: int) -> pa.Table:
        versions = pa.array(np.full(count, self.version))
        given = {"model_version": versions, **columns}
        arrays = [
            given[field.name].cast(field.type) if field.name in given else pa.nulls(count, field.type)
            for field in self._schema
        ]
        return pa.Table.from_arrays(arrays, schema=self._schema)


def _brought(uri: str, folder: pathlib.Path) -> pathlib.Path:
    """A local path to read an item's file from. An error that is not about this file raises TryAgainError."""
    try:
        path = sources.localize(uri, str(folder))
        with path.open("rb"):
            return path
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise InputError(f"cannot be read: {one_line(error, 200)}", file=uri) from None
    except Exception as error:  # clients of object stores have their own for a network that is down
        raise TryAgainError(f"{uri}: cannot be read now: {type(error).__name__}: {one_line(error, 200)}") from error


def _of_one(item: Item, table: pa.Table) -> Answered | InputError:
    """One item's part of a table."""
    reasons = table["reason"]
    failed = len(reasons) - reasons.null_count
    if failed == len(reasons):
        where = f"column {table['column'][0].as_py()!r}: " if table["column"][0].is_valid else ""
        return InputError(f"none of {failed:,} rows could be predicted; the first: {where}{reasons[0].as_py()}")
    table = table.set_column(0, "item", pa.repeat(item.id, len(reasons)))
    return Answered(table.set_column(1, "row", pa.array(np.arange(1, len(reasons) + 1))), failed)


class Following:
    """The release that a label points at, or the one of a version.

    Args:
        label: or a version.
        scratch: folder of this process alone.
        say: is told when another release takes over, or cannot.
    """

    def __init__(
        self, store: ModelStore, model: str, label: str, scratch: pathlib.Path, say: Callable[[str], None]
    ) -> None:
        self._store, self._model, self._label, self._scratch, self._say = store, model, label, scratch, say
        self._refused = 0
        self._trouble = ""
        self._looked = time.monotonic()
        self._release = self._load(store.resolve(model, label).version)

    def now(self) -> Release:
        """The release to answer with. One that does not load does not take over."""
        if self._label.isdecimal() or time.monotonic() - self._looked < _LOOK_S:
            return self._release
        self._looked = time.monotonic()
        try:
            version = self._store.resolve(self._model, self._label).version
            if version not in (self._release.version, self._refused):
                self._refused = version  # until it has loaded
                before, self._release = self._release.version, self._load(version)
                self._say(f"release {version} is {self._label} now, and answers")
                shutil.rmtree(self._folder(before), ignore_errors=True)
        except (StoreError, InputError, OSError) as error:
            if (trouble := one_line(error, 300)) != self._trouble:
                self._say(f"release {self._release.version} goes on answering: {trouble}")
            self._trouble = trouble
        return self._release

    def _load(self, version: int) -> Release:
        shutil.rmtree(self._folder(version), ignore_errors=True)  # what another attempt may have left
        return Release(self._store, self._model, version, self._folder(version))

    def _folder(self, version: int) -> pathlib.Path:
        return self._scratch / f"release-{version}"
