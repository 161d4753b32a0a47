from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class Features(dict[str, Any]):
    """What a model is given, [N, ...] by name.

    Attributes:
        raw: the columns that it was made of, by name: [N, ...], or a `tf.SparseTensor` of those that may be missing.
    """

    def __init__(self, made: Mapping[str, Any], raw: Mapping[str, Any]) -> None:
        super().__init__(made)
        self.raw = dict(raw)


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature of the SavedModel besides `serving_default`.

    Example:
        Signature(lambda features: {"code": model.encoder(features)}, columns=["picture"])
        Signature(lambda given: {"picture": model.decoder(given["code"])}, tensors={"code": tf.TensorSpec([None, 16])})

    Attributes:
        answer: what the signature is given, by name, to its outputs by name, in the graph. Given are the features [N, ...] that
            `columns` suffice for, as `Features`, and `tensors`.
        columns: raw columns that a request carries, named and written as `serving_default` has them.
        tensors: further inputs, a `tf.TensorSpec` each, by a name that is an identifier.
    """

    answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    columns: Sequence[str] = ()
    tensors: Mapping[str, Any] = dataclasses.field(default_factory=dict)
