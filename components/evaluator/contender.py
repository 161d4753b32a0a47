"""A model that is judged."""

from __future__ import annotations

import functools
import pathlib
from typing import Any

import pyarrow as pa

from components.served_model import ServedModel, load_answerer
from components.tasks import Tensors
from spec.errors import InputError


class Contender:
    """A loaded model.

    Args:
        saved_model: folder.
        by_index: whether an index beside it answers, if there is one.
    """

    def __init__(self, saved_model: pathlib.Path, by_index: bool = True) -> None:
        self.spec = ServedModel.read(saved_model)
        self._answer = load_answerer(saved_model, self.spec, by_index)

    def predict(self, batch: pa.RecordBatch) -> Tensors:
        """What it answers to a batch of raw columns, by output; `output` among them is [N, *answer_shape].

        Raises:
            InputError: the batch does not fit the model, or its graph refuses it.
        """
        return self.answer(self.spec.inputs(batch))

    def answer(self, inputs: Tensors) -> Tensors:
        """The same of the raw tensors that `spec.inputs` makes of a batch, [N, ...] by column."""
        import tensorflow as tf

        rows = len(next(iter(inputs.values())))
        try:
            answers = self._answer(inputs)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, TypeError, ValueError) as error:
            raise InputError(
                f"the model fails on a batch of the test split: {' '.join(str(error).split())[:300]}"
            ) from None
        found = answers[self.spec.output]
        shape = self.spec.kind.answer_shape
        if found.shape != (rows, *shape):
            raise InputError(
                f"{self.spec.output!r} of a {self.spec.task} model has shape {['N', *shape]}. "
                f"Received: {list(found.shape)} for {rows} rows. Mend build_model's output layer."
            )
        return answers


class Judge:
    """A model that judges others: loaded when it is asked for the first time, on each worker.

    Args:
        saved_model: folder.
        name: for messages.
    """

    def __init__(self, saved_model: pathlib.Path, name: str) -> None:
        self.name = name
        self._saved_model = saved_model

    def __getstate__(self) -> dict[str, Any]:
        return {"name": self.name, "_saved_model": self._saved_model}

    @functools.cached_property
    def spec(self) -> ServedModel:
        """What it takes and answers."""
        return ServedModel.read(self._saved_model)

    @functools.cached_property
    def _contender(self) -> Contender:
        return Contender(self._saved_model)

    def predict(self, batch: pa.RecordBatch) -> Tensors:
        """As `Contender.predict`."""
        return self._contender.predict(batch)
