"""What a task may look at before rows are judged."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Read = Callable[[Sequence[str]], Iterator["pa.RecordBatch"]]
Tensors = dict[str, "np.ndarray"]
Predict = Callable[["pa.RecordBatch"], Tensors]


class Judge(Protocol):
    """A release that judges. It travels to workers.

    Attributes:
        name: as `evaluation.judge` says it.
        spec: what it takes and answers, a `components.served_model.ServedModel`.
    """

    name: str

    @property
    def spec(self) -> Any: ...

    def predict(self, batch: pa.RecordBatch) -> Tensors:
        """What it answers to a batch of raw columns, by output."""


@dataclasses.dataclass(frozen=True)
class Context:
    """The data that a model is judged on, and the model.

    Attributes:
        label: the label's column; None without one.
        query: the column whose rows are judged together; None without one.
        test: columns -> the test split's batches, read as they are asked for.
        train: the same of the train split.
        predict: a batch with the model's columns -> what it answers, by output.
        predict_exactly: the same by `serving_default` itself, where an index answers in its place.
        catalogue: the folder of the items that are found (`components.tasks.catalogue`); None where the task finds none.
        columns: the model's.
        judge: of `evaluation.judge`; None without one.
    """

    label: str | None
    query: str | None
    test: Read
    train: Read
    predict: Predict
    catalogue: pathlib.Path | None = None
    columns: Sequence[str] = ()
    judge: Judge | None = None
    predict_exactly: Predict = lambda batch: {}
