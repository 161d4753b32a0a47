"""The method that every table has: gradient boosting on its raw columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from components import columnar
from components.baseline.boosting import Boosting, most_rows
from components.baseline.encoding import fit_encoder, unfit
from components.baseline.method import Method, NotApplicable
from spec.splits import TRAIN
from spec.words import one_line


class Boosted(Method):
    def fit(self) -> None:
        label, in_all = self.config.label, columnar.count_rows(self.uri, TRAIN)
        self.facts |= {"train_rows": 0, "train_rows_in_all": in_all, "columns": [], "left_out": {}}
        if not label:
            raise NotApplicable("there is no label that trees could learn")
        if not self.task.has_baseline:
            raise NotApplicable(f"trees answer with a class or a number a row, and task {self.task.name} does not")
        schema = columnar.split_schema(self.uri, TRAIN)
        candidates = [name for name in schema.names if name not in (label, *self.config.leave_out, *self.withheld)]
        # Decided by the types alone: what is not used, images above all, is not read.
        left_out = {name: why for name in candidates if (why := unfit(schema.field(name).type))}
        fit = [name for name in candidates if name not in left_out]
        train = _sample(self.uri, [label, *fit], most_rows(len(fit)), in_all)
        self._encoder = fit_encoder(train, fit)
        self.columns = self._encoder.columns
        self.facts |= {
            "train_rows": train.num_rows,
            "columns": list(self.columns),
            "left_out": dict(sorted((left_out | self._encoder.left_out).items())),
        }
        labels = self.task.read_labels(train.column(label), label)
        if not self.columns:
            raise NotApplicable("no column is a number, a date or a category, which is what trees learn from")
        self._boosting = Boosting(len(self.task.classes), self._encoder.categorical)
        try:
            self._boosting.fit(self._encoder.matrix(train), labels)
        except ValueError as error:  # scikit-learn's word for data that there is nothing to learn from
            raise NotApplicable(one_line(error, 300)) from None

    def predict(self, batch: pa.RecordBatch) -> np.ndarray:
        return self._boosting.predict(self._encoder.matrix(pa.Table.from_batches([batch])))


def _sample(uri: str, columns: list[str], most: int, in_all: int) -> pa.Table:
    """Rows of the train split in their order: all of them, or so many by chance, the same every time."""
    if in_all <= most:
        return columnar.read_split(uri, TRAIN, columns).select(columns)
    drawn = np.sort(np.random.default_rng(1).choice(in_all, most, replace=False))
    parts, start = [], 0
    for batch in columnar.read_batches(uri, TRAIN, columns):
        low, high = np.searchsorted(drawn, (start, start + batch.num_rows))
        parts.append(batch.take(pa.array(drawn[low:high] - start)))
        start += batch.num_rows
    return pa.Table.from_batches(parts).select(columns)
