"""Each method fits on the train split, predicts the rows that the model is judged on, and is summed up as the Evaluator does."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from tensorflow_metadata.proto.v0 import schema_pb2

from components import columnar
from components.baseline.boosted import Boosted
from components.baseline.config import BaselineConfig
from components.baseline.method import PLACE, Method, NotApplicable
from components.baseline.own import Own
from components.evaluator.contender import Judge
from components.evaluator.evaluation import context
from components.evaluator.findings import Findings
from components.schema import withheld_columns
from components.tasks import Read, Tensors, Values, find, query_keys
from components.transform.labels import output_classes
from spec.errors import InputError
from spec.splits import TEST
from spec.workload import GRADIENT_BOOSTING

_BATCH_ROWS = 8192


def measure(
    examples_uri: str,
    schema: schema_pb2.Schema,
    config: BaselineConfig,
    catalogue: pathlib.Path | None = None,
    judge: Judge | None = None,
) -> list[dict[str, Any]]:
    """What each method reaches, in the order of `config.methods`.

    Args:
        catalogue: the folder of the items that the task finds; None where it finds none.
        judge: of `evaluation.judge`; None without one.

    Returns:
        of each its `name`; `about` it, in a line; `rows` it was judged on; `train_rows` it learnt from, of
        `train_rows_in_all`; `seconds` it took; `overall`, metric -> value; `not_applicable`: why there are no values, else
        empty. Of gradient boosting also the `columns` it learnt from and `left_out`, column -> why.

    Raises:
        InputError: the label does not fit the task, or a function of the workload's own fails or answers what no model would.
    """
    kind = find(config.task)
    classes = output_classes(schema, config.label or None, kind, config.positive_class)
    withheld = withheld_columns(schema, config.personal_features, config.label)

    @functools.cache
    def read_split(split: str) -> pa.Table:
        columns = [name for name in columnar.split_schema(examples_uri, split).names if name not in withheld]
        return columnar.read_split(examples_uri, split, columns)

    found = []
    for name in config.methods:
        started = time.monotonic()
        about = (name, kind(classes, options=config.task_options), examples_uri, config, withheld)
        method = Boosted(*about) if name == GRADIENT_BOOSTING else Own(*about, read_split)
        overall: Values = {}
        why_not = ""
        try:
            overall = _judge(examples_uri, method, config, catalogue, judge)
        except NotApplicable as error:
            why_not = str(error)
        found.append(
            {
                "name": name.replace("_", " "),
                "rows": columnar.count_rows(examples_uri, TEST),
                **method.facts,
                "overall": overall,
                "not_applicable": why_not,
                "seconds": round(time.monotonic() - started, 2),
            }
        )
    return found


def _judge(
    uri: str, method: Method, config: BaselineConfig, catalogue: pathlib.Path | None, judge: Judge | None
) -> Values:
    def predict(batch: pa.RecordBatch) -> Tensors:
        return {method.task.judged_output: method.predict(batch)}

    label, query = config.label or None, config.query or None
    given = context(uri, label, query, _BATCH_ROWS, catalogue, predict)
    method.fit()
    given = dataclasses.replace(given, test=_placed(given.test), columns=method.columns, judge=judge)
    method.task = task = method.task.prepare(given)
    findings = Findings(task, (), champion=None, seed=1)
    columns = dict.fromkeys([label, query, *task.truth_columns(label), *method.columns])
    for batch in given.test([name for name in columns if name]):
        if not batch.num_rows:
            continue
        places, truths = batch.column(PLACE).to_numpy(), task.truths(batch, label)
        groups = query_keys(batch.column(query), query) if query else places
        findings.add(places, truths, groups, (), (task.judged(predict(batch)),))
    findings.finish()
    if wrong := findings.challenger.invalid_rows:
        raise InputError(
            f"{config.module_file}: {method.name} gives {wrong:,} of {findings.rows:,} rows an answer that is not "
            f"{task.valid_words}. Mend it."
        )
    assert findings.challenger.sums is not None
    return task.values(findings.challenger.sums)


def _placed(read: Read) -> Read:
    """Batches that know each row's place in the split."""

    def placed(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        place = 0
        for batch in read(columns):
            yield batch.append_column(PLACE, pa.array(np.arange(place, place + batch.num_rows)))
            place += batch.num_rows

    return placed
