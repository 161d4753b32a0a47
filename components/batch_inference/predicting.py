"""ReadRows through the model, with the rows that it cannot answer set aside."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.ingestion.bad_rows import BadRow, ReadRows
from components.served_model import ServedModel, load_answerer
from spec.errors import InputError
from spec.words import one_line

_BATCH_ROWS = 8192
_BATCH_BYTES = 32 * 2**20

Answers = dict[str, npt.NDArray[np.generic]]


@dataclasses.dataclass(frozen=True)
class Part:
    """ReadRows with the model's answers, by output of its signature; and those that have none."""

    rows: ReadRows
    answers: Answers
    bad: tuple[BadRow, ...] = ()


class Predictor:
    """Loads an exported model once and answers batches."""

    def __init__(self, saved_model: pathlib.Path, model: ServedModel) -> None:
        import tensorflow as tf

        self._model = model
        self._answer = load_answerer(saved_model, model)
        self._refusals = (InputError, tf.errors.OpError)

    def parts(self, rows: ReadRows) -> Iterator[Part]:
        """Predicts for a batch, by pieces of a size that the model's intermediate tensors bear."""
        rows, bad = self._of_the_right_length(rows)
        yield Part(_slice(rows, 0, 0), {}, bad)
        size = max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows.batch.num_rows // max(1, rows.batch.nbytes)))
        for first in range(0, rows.batch.num_rows, size):
            yield from self._predict(_slice(rows, first, min(first + size, rows.batch.num_rows)))

    def _predict(self, rows: ReadRows) -> Iterator[Part]:
        try:
            answers = self._answer(self._model.inputs(rows.batch))
        except self._refusals as error:
            count = rows.batch.num_rows
            if count == 1:
                reason = f"the model raised {type(error).__name__}: {_gist(error)}"
                yield Part(_slice(rows, 0, 0), {}, (BadRow(int(rows.numbers[0]), None, reason),))
                return
            # One row can stop a batch; halving finds it, and the others are answered.
            yield from self._predict(_slice(rows, 0, count // 2))
            yield from self._predict(_slice(rows, count // 2, count))
            return
        output = answers[self._model.output].reshape(rows.batch.num_rows, -1)
        finite = np.isfinite(output).all(axis=1) if output.dtype.kind == "f" else np.ones(len(output), bool)
        if finite.all():
            yield Part(rows, answers)
            return
        bad = tuple(BadRow(int(number), None, "the model's answer is not a number") for number in rows.numbers[~finite])
        kept = ReadRows(rows.batch.filter(pa.array(finite)), rows.numbers[finite])
        yield Part(kept, {name: values[finite] for name, values in answers.items()}, bad)

    def _of_the_right_length(self, rows: ReadRows) -> tuple[ReadRows, tuple[BadRow, ...]]:
        """Sets vectors aside that have another length than the model takes, or gaps."""
        bad: dict[int, BadRow] = {}
        for name, feature in self._model.features.items():
            if not feature.shape or not rows.batch.num_rows:
                continue
            column, wanted = rows.batch.column(name), int(np.prod(feature.shape))
            lengths = pc.list_value_length(column).to_numpy(zero_copy_only=False)
            flat, parents = pc.list_flatten(column), pc.list_parent_indices(column)
            gaps = np.zeros(len(column), dtype=bool)
            gaps[parents.filter(flat.is_null()).to_numpy()] = True
            for index in np.flatnonzero((lengths != wanted) | gaps):
                received = "one with missing values" if gaps[index] else f"{int(lengths[index])}"
                reason = f"a vector of {wanted} values expected. Received: {received}"
                bad.setdefault(int(index), BadRow(int(rows.numbers[index]), name, reason))
        if not bad:
            return rows, ()
        fits = np.ones(rows.batch.num_rows, dtype=bool)
        fits[list(bad)] = False
        return ReadRows(rows.batch.filter(pa.array(fits)), rows.numbers[fits]), tuple(bad.values())


def _gist(error: Exception) -> str:
    """What an operation said, without where in the graph TensorFlow met it."""
    said = one_line(error)
    return said.rpartition("<stack traces unavailable> ")[2].partition(" [[{{")[0][:300]


def _slice(rows: ReadRows, first: int, last: int) -> ReadRows:
    return ReadRows(rows.batch.slice(first, last - first), rows.numbers[first:last])
