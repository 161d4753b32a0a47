from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Signature:
    """A signature of the SavedModel besides `serving_default`.

    Example:
        Signature(lambda features: {"code": model.encoder(features)}, columns=["picture"])
        Signature(lambda given: {"picture": model.decoder(given["code"])}, tensors={"code": tf.TensorSpec([None, 16])})

    Attributes:
        answer: what the signature is given, by name, to its outputs by name, in the graph. Given are the features [N, ...] that
            `columns` suffice for, with `Task.beside_features` of them, and `tensors`.
        columns: raw columns that a request carries, named and written as `serving_default` has them.
        tensors: further inputs, a `tf.TensorSpec` each, by a name that is an identifier.
    """

    answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    columns: Sequence[str] = ()
    tensors: Mapping[str, Any] = dataclasses.field(default_factory=dict)
