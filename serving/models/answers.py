"""What a model answered a batch, and which part of it is whose."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from serving.codec.encoding import by_class, encode_rows, is_finite, list_rows
from serving.codec.tensors import Arrays, size_of


@dataclasses.dataclass(frozen=True)
class Batch:
    """The rows of one or several requests, and their answers.

    Attributes:
        inputs: tensors by input, [rows, ...].
        outputs: tensors by output.
    """

    inputs: Arrays
    outputs: Arrays
    rows: int

    @functools.cached_property
    def listed(self) -> list[Any]:
        """The answers by row, made once for all requests."""
        return list_rows(self.outputs, self.rows)

    @functools.cached_property
    def row_bytes(self) -> int:
        """Of a row's answer."""
        return size_of(self.outputs) // max(1, self.rows)

    @functools.cached_property
    def finite(self) -> bool:
        return is_finite(self.outputs)


@dataclasses.dataclass(frozen=True)
class Part:
    """One request's rows of a batch: from `start` to before `end`."""

    batch: Batch
    start: int
    end: int

    @property
    def inputs(self) -> Arrays:
        return self._of(self.batch.inputs)

    @property
    def outputs(self) -> Arrays:
        return self._of(self.batch.outputs)

    @property
    def nbytes(self) -> int:
        """Of the answer."""
        return self.batch.row_bytes * (self.end - self.start)

    def alone(self) -> Part:
        """The same, without the other requests' rows in memory."""
        inputs, outputs = ({name: one.copy() for name, one in them.items()} for them in (self.inputs, self.outputs))
        rows = self.end - self.start
        return Part(Batch(inputs, outputs, rows), 0, rows)

    def encode(self, classes: Sequence[str] = (), explanations: Sequence[Any] = ()) -> bytes:
        """The answer to a predict request in row form.

        Args:
            classes: those of the model, for an answer that says by name how probable each of them is; empty: one without.
            explanations: of each row, to stand in its answer; empty: none do.

        Raises:
            BadRequestError: the outputs do not have a row for each instance, or no probabilities for the classes.
        """
        listed = self.batch.listed[self.start : self.end]
        added = {"classes": by_class(self.outputs, classes)} if classes else {}
        if explanations:
            added["explanation"] = list(explanations)
        if added and len(self.batch.outputs) == 1:
            listed = [{name: row} for name in self.batch.outputs for row in listed]
        for name, values in added.items():
            listed = [{**row, name: one} for row, one in zip(listed, values, strict=True)]
        return encode_rows(listed, self.batch.finite)

    def _of(self, arrays: Arrays) -> Arrays:
        if self.end - self.start == self.batch.rows:
            return arrays
        return {name: array[self.start : self.end] for name, array in arrays.items()}
