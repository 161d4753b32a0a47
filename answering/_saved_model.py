"""A SavedModel as a server has it in memory."""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from answering._operations import insist_harmless
from vector_index import Entry

if TYPE_CHECKING:
    import numpy as np


class SavedModel:
    """A loaded SavedModel.

    Args:
        folder: with saved_model.pb.

    Attributes:
        names: of its signatures.

    Raises:
        InputError: its graph would touch more than its tensors and its own files.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        import tensorflow as tf

        insist_harmless(folder)
        self._root: Any = tf.saved_model.load(str(folder))
        self.names: tuple[str, ...] = tuple(self._root.signatures)

    def entry(self, name: str) -> Entry:
        """One of its signatures; raises KeyError where there is none."""
        function = self._root.signatures[name]
        # In the same order whoever saved it: an answer in JSON is read by people, too.
        inputs, outputs = sorted(function.structured_input_signature[1]), sorted(function.structured_outputs)
        return Entry(inputs, outputs, functools.partial(self._call, _Flat(function), inputs, outputs))

    # Bound to `self`, whose weights the functions of a signature do not keep in memory.
    def _call(
        self, function: _Flat, inputs: list[str], outputs: list[str], given: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        answers = function([given[one] for one in inputs])
        return {one: answer.numpy() for one, answer in zip(outputs, answers, strict=True)}


class _Flat:
    """A signature that takes and gives lists of tensors, in the order of their names.

    Calling it by name takes TensorFlow longer in Python than a small model takes to answer: half of a request's time.
    """

    def __init__(self, function: Any) -> None:
        self._name = function.name
        self._weights = list(function.captured_inputs)
        self._types = [output.dtype for output in function.outputs]

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        import tensorflow as tf

        given = [tf.constant(one) for one in inputs] + self._weights
        answers: list[Any] = tf.raw_ops.StatefulPartitionedCall(args=given, Tout=self._types, f=self._name)
        return answers
