"""Fit on the train split, predict the rows that the model is judged on, and sum up as the Evaluator does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from components import columnar
from components.baseline.boosting import Boosting, most_rows
from components.baseline.config import BaselineConfig
from components.baseline.encoding import Encoder, fit_encoder, unfit
from components.evaluator.evaluation import context
from components.evaluator.findings import Findings
from components.tasks import Task, Tensors, Values, find, query_keys
from components.transform.labels import output_classes
from spec.splits import TEST, TRAIN
from spec.words import one_line

NAME = "gradient boosting"
_BATCH_ROWS = 8192


def measure(examples_uri: str, schema: schema_pb2.Schema, config: BaselineConfig) -> dict[str, Any]:
    """What gradient boosting reaches.

    Returns:
        `name`; `rows` it was judged on; `train_rows` it learnt from, of `train_rows_in_all`; `columns` it learnt from and
        `left_out`, column -> why; `overall`, metric -> value; `not_applicable`: why there are no values, else empty.

    Raises:
        InputError: the label does not fit the task.
    """
    schema_of_rows = columnar.split_schema(examples_uri, TRAIN)
    unused = {config.label, *config.leave_out}
    candidates = [name for name in schema_of_rows.names if name not in unused]
    in_all = columnar.count_rows(examples_uri, TRAIN)
    # Decided by the types alone: what is not used, images above all, is not read.
    left_out = {name: why for name in candidates if (why := unfit(schema_of_rows.field(name).type))}
    fit = [name for name in candidates if name not in left_out]
    train = _sample(examples_uri, [config.label, *fit], most_rows(len(fit)), in_all)
    encoder = fit_encoder(train, fit)
    left_out |= encoder.left_out
    found: dict[str, Any] = {
        "name": NAME,
        "rows": columnar.count_rows(examples_uri, TEST),
        "train_rows": train.num_rows,
        "train_rows_in_all": in_all,
        "columns": list(encoder.columns),
        "left_out": dict(sorted(left_out.items())),
        "overall": {},
        "not_applicable": "",
    }
    kind = find(config.task)
    classes = output_classes(schema, config.label, kind, config.positive_class)
    task = kind(classes, options=config.task_options)
    labels = task.read_labels(train.column(config.label).combine_chunks(), config.label)
    if not task.has_baseline:
        return {
            **found,
            "not_applicable": f"trees answer with a class or a number a row, and task {task.name} does not",
        }
    if not encoder.columns:
        return {
            **found,
            "not_applicable": "no column is a number, a date or a category, which is what trees learn from",
        }
    boosting = Boosting(len(task.classes), encoder.categorical)
    try:
        boosting.fit(encoder.matrix(train), labels)
    except ValueError as error:  # scikit-learn's word for data that there is nothing to learn from
        return {**found, "not_applicable": one_line(error, 300)}
    return {**found, "overall": _judge(examples_uri, encoder, boosting, task, config)}


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


def _judge(uri: str, encoder: Encoder, boosting: Boosting, task: Task, config: BaselineConfig) -> Values:
    def predict(batch: pa.RecordBatch) -> Tensors:
        return {task.output: boosting.predict(encoder.matrix(pa.Table.from_batches([batch])))}

    given = context(uri, config.label, config.query or None, predict, _BATCH_ROWS)
    task = task.prepare(given)
    findings = Findings(task, (), champion=None, seed=1)
    place = 0
    for batch in given.test(list(dict.fromkeys([config.label, *filter(None, [config.query]), *encoder.columns]))):
        if not batch.num_rows:
            continue
        groups = query_keys(batch.column(config.query), config.query) if config.query else np.zeros(batch.num_rows, int)
        places = np.arange(place, place + batch.num_rows)
        findings.add(places, task.truths(batch, config.label), groups, (), (task.judged(predict(batch)),))
        place += batch.num_rows
    findings.finish()
    assert findings.challenger.sums is not None
    return findings.task.values(findings.challenger.sums)
