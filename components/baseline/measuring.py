"""Each method fits on the train split, predicts the rows that the model is judged on, and is summed up as the Evaluator does."""

from __future__ import annotations

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
from components.evaluator.findings import Findings
from components.tasks import Values, find, query_keys
from components.transform.labels import output_classes
from spec.splits import TEST
from spec.workload import GRADIENT_BOOSTING

_BATCH_ROWS = 8192


def measure(examples_uri: str, schema: schema_pb2.Schema, config: BaselineConfig) -> list[dict[str, Any]]:
    """What each method reaches, in the order of `config.methods`.

    Returns:
        of each its `name`; `about` it, in a line; `rows` it was judged on; `train_rows` it learnt from, of
        `train_rows_in_all`; `seconds` it took; `overall`, metric -> value; `not_applicable`: why there are no values, else
        empty. Of gradient boosting also the `columns` it learnt from and `left_out`, column -> why.

    Raises:
        InputError: the label does not fit the task, or a function of the workload's own fails or answers what no model would.
    """
    kind = find(config.task)
    classes = output_classes(schema, config.label or None, kind, config.positive_class)
    found = []
    for name in config.methods:
        started = time.monotonic()
        method = (Boosted if name == GRADIENT_BOOSTING else Own)(name, kind(classes), examples_uri, config)
        overall: Values = {}
        why_not = ""
        try:
            overall = _judge(examples_uri, method, config)
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


def _judge(uri: str, method: Method, config: BaselineConfig) -> Values:
    label = config.label or None

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        place = 0
        for batch in columnar.read_batches(uri, TEST, list(columns), _BATCH_ROWS):
            yield batch.append_column(PLACE, pa.array(np.arange(place, place + batch.num_rows)))
            place += batch.num_rows

    method.fit()
    method.task = method.task.prepare(label, read, method.predict)
    findings = Findings(method.task, (), champion=None, seed=1)
    for batch in read(list(dict.fromkeys([*filter(None, [config.label, config.query]), *method.columns]))):
        if not batch.num_rows:
            continue
        groups = query_keys(batch.column(config.query), config.query) if config.query else np.zeros(batch.num_rows, int)
        truths = method.task.truths(batch, label)
        findings.add(batch.column(PLACE).to_numpy(), truths, groups, (), (method.predict(batch),))
    findings.finish()
    assert findings.challenger.sums is not None
    return method.task.values(findings.challenger.sums)
