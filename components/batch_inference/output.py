"""What batch inference writes: predictions, failures, and the counts that must add up."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa

from components.batch_inference.predicting import Answers
from components.columnar import ShardWriter
from components.ingestion.bad_rows import BadRow, ReadRows
from components.ingestion.contract import Column
from components.ingestion.quarantine import BadRowWriter
from components.served_model import ServedModel

FAILED_FILE = "failed.parquet"


class Output:
    """Writes `predictions-*.parquet` and `failed.parquet`, and counts.

    Attributes:
        by_file: rows predicted and failed of each source file.
        first_failure: in words; empty while there is none.
        shards: the files of predictions, once closed.
    """

    def __init__(
        self, target: pathlib.Path, model: ServedModel, columns: Sequence[Column], keys: Sequence[str], version: int
    ) -> None:
        target.mkdir(parents=True, exist_ok=True)
        types = {c.name: c.type for c in columns}
        self._keys, self._model, self._version = tuple(keys), model, version
        identity = [(key, types[key]) for key in keys] or [("file", pa.string()), ("row", pa.int64())]
        self._schema = pa.schema([*identity, *model.kind.prediction_types().items(), ("model_version", pa.int64())])
        self._predictions = ShardWriter(target, "predictions", self._schema)
        self._failed = BadRowWriter(target / FAILED_FILE)
        self._counts: dict[str, list[int]] = {}

    def predicted(self, file: str, rows: ReadRows, answers: Answers, names: Sequence[str] | None = None) -> None:
        """Appends the answers to rows of a file; `names` where each row is a file of its own, below `file`."""
        count = rows.batch.num_rows
        self._count(file)[0] += count
        if not count:
            return
        if self._keys:
            identity = [rows.batch.column(key) for key in self._keys]
        elif names is not None:
            identity = [pa.array(names), pa.array(np.ones(count, np.int64))]
        else:
            identity = [pa.array([file]).take(pa.array(np.zeros(count, np.int64))), pa.array(rows.numbers)]
        arrays = [*identity, *answer_columns(self._model, answers), pa.array(np.full(count, self._version))]
        self._predictions.write(pa.RecordBatch.from_arrays(arrays, schema=self._schema))

    def failed(self, file: str, bad: Sequence[BadRow], names: Sequence[str] | None = None) -> None:
        """Appends rows that have no answer; `names` as with `predicted`."""
        self._count(file)[1] += len(bad)
        if names is None:
            self._failed.write(file, bad)
            return
        for one, name in zip(bad, names, strict=True):
            self._failed.write(name, [dataclasses.replace(one, row=1)])

    @property
    def first_failure(self) -> str:
        return self._failed.first

    @property
    def total_predicted(self) -> int:
        return sum(predicted for predicted, _ in self._counts.values())

    @property
    def by_file(self) -> dict[str, tuple[int, int]]:
        return {file: (predicted, failed) for file, (predicted, failed) in self._counts.items()}

    @property
    def shards(self) -> list[pathlib.Path]:
        return self._predictions.shards

    def _count(self, file: str) -> list[int]:
        return self._counts.setdefault(file, [0, 0])

    def __enter__(self) -> Self:
        self._predictions.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failed.__exit__(kind, error, trace)
        self._predictions.__exit__(kind, error, trace)
        if kind is None and self._predictions.rows != self.total_predicted:
            raise RuntimeError(f"{self.total_predicted} rows were predicted and {self._predictions.rows} written")


def answer_columns(model: ServedModel, answers: Answers) -> list[pa.Array]:
    """What a model answered as the columns of `prediction_types`, in their order."""
    return [_column(answers[name], kind) for name, kind in model.kind.prediction_types().items()]


def _column(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """An output [N, ...] as a column: nested lists where a row has several values, texts from bytes."""
    if values.ndim == 1:
        return pa.array(values, pa.binary()).cast(kind) if pa.types.is_string(kind) else pa.array(values).cast(kind)
    flat = _column(values.reshape(-1, *values.shape[2:]), kind.value_type)
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]), flat)
