"""How much a model needs each raw column: by how much its first metric gets worse when the column is shuffled among the rows.

Permutation importance (Breiman, 2001), as model reliance for any model (Fisher, Rudin and Dominici, 2019), asked of the served model.
What two columns both say counts for neither: the model reads it in the other one.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from components import columnar
from components.evaluator.bootstrap import priorities
from components.evaluator.config import EvaluationConfig
from components.evaluator.contender import Contender
from components.evaluator.findings import Findings
from components.tasks import Task, Tensors, query_keys
from spec.errors import InputError
from spec.splits import TEST
from spec.words import one_line

# Rows that the model is asked for in all: of many columns each is shuffled among fewer rows, and of very many some are left out.
_MOST_ASKED = 100_000
_FEWEST_ROWS = 200


@dataclasses.dataclass(frozen=True)
class _Sample:
    """Some rows of the test split.

    Attributes:
        inputs: what the model takes, [N, ...] by column.
        truths: [N, ...].
        groups: the query of each row, [N].
    """

    inputs: Tensors
    truths: np.ndarray
    groups: np.ndarray


def column_importance(
    outcome: Findings,
    examples_uri: str,
    model: pathlib.Path,
    config: EvaluationConfig,
    pictures: Collection[str] = (),
) -> dict[str, Any] | None:
    """As metrics.json has it; None where it is not asked for.

    Args:
        model: SavedModel folder.
        pictures: columns that hold some; they are not shuffled.

    Returns:
        `columns`, the most needed first: by how much the `metric` gets worse than its `value` on the same `rows`, the mean `drop` of
        `repeats` with its `deviation`, the `least` and the `most`; `left_out`: columns for which there was no time; `why_not`: empty,
        or why there is none of it.
    """
    if not config.importance.rows:
        return None
    try:
        return _measured(outcome, examples_uri, model, config, pictures)
    except InputError as error:  # the run has its figures without it
        return {"why_not": one_line(error, 200), "columns": [], "left_out": []}


def _measured(
    outcome: Findings, uri: str, model: pathlib.Path, config: EvaluationConfig, pictures: Collection[str]
) -> dict[str, Any]:
    task = outcome.task
    if not task.answers_rows:
        raise InputError(f"a model for task {task.name} does not answer with a class or a number of each row")
    contender = Contender(model)
    columns = [name for name in contender.spec.features if name not in pictures]
    if len(columns) < 2:
        raise InputError("the model takes no two columns that could be told apart; pictures are not shuffled")
    repeats, metric = config.importance.repeats, config.champion_metric
    most = min(config.importance.rows, max(_FEWEST_ROWS, _MOST_ASKED // (len(columns) * repeats)))
    sample = _sample(contender, task, uri, config, most)
    rows = len(sample.groups)
    asked = columns[: max(2, _MOST_ASKED // (rows * repeats))]
    value = _value(task, metric.name, sample, contender.answer(sample.inputs))
    if value is None:
        raise InputError(f"{metric.name} is undefined on the {rows:,} rows of the test split that were looked at")
    found = []
    for number, column in enumerate(asked):
        random = np.random.default_rng([config.seed, number])
        drops = [
            metric.loss(one, value) for one in _shuffled(contender, task, sample, column, metric.name, repeats, random)
        ]
        found.append(
            {
                "column": column,
                "drop": float(np.mean(drops)),
                "deviation": float(np.std(drops, ddof=1)),
                "least": min(drops),
                "most": max(drops),
            }
        )
    return {
        "metric": metric.name,
        "value": value,
        "rows": rows,
        "repeats": repeats,
        "columns": sorted(found, key=lambda one: (-one["drop"], one["column"])),
        "left_out": columns[len(asked) :],
        "why_not": "",
    }


def _sample(contender: Contender, task: Task, uri: str, config: EvaluationConfig, most: int) -> _Sample:
    """Rows by chance, the same however the split is divided; where queries are judged, all rows of some of them."""
    places = _places(uri, config, most, task.by_groups)
    columns = dict.fromkeys([*contender.spec.features, *task.truth_columns(config.label)])
    columns |= {config.query: None} if config.query else {}
    (batch,) = columnar.read_rows(uri, TEST, places, list(columns)).combine_chunks().to_batches()
    groups = query_keys(batch.column(config.query), config.query) if config.query else places
    return _Sample(contender.spec.inputs(batch), task.truths(batch, config.label), groups)


def _places(uri: str, config: EvaluationConfig, most: int, whole_queries: bool) -> np.ndarray:
    rows = np.arange(columnar.count_rows(uri, TEST))
    if not (whole_queries and config.query):
        return np.sort(rows[np.argsort(priorities(rows, config.seed), kind="stable")[:most]])
    keys = np.concatenate(
        [
            query_keys(batch.column(config.query), config.query)
            for batch in columnar.read_batches(uri, TEST, [config.query])
        ]
    )
    queries, query, counts = np.unique(keys, return_inverse=True, return_counts=True)
    order = np.argsort(priorities(queries.view(np.uint64), config.seed), kind="stable")
    chosen = order[: max(1, int((np.cumsum(counts[order]) <= most).sum()))]
    return rows[np.isin(query, chosen)]


def _shuffled(
    contender: Contender,
    task: Task,
    sample: _Sample,
    column: str,
    metric: str,
    repeats: int,
    random: np.random.Generator,
) -> Sequence[float]:
    """The metric with the column shuffled, as often as it is to be repeated; the model is asked once."""
    rows = len(sample.groups)
    orders = np.concatenate([random.permutation(rows) for _ in range(repeats)])
    inputs = {name: np.concatenate([one] * repeats) for name, one in sample.inputs.items() if name != column}
    answers = contender.answer({**inputs, column: sample.inputs[column][orders]})
    parts = (
        {name: one[start : start + rows] for name, one in answers.items()} for start in range(0, len(orders), rows)
    )
    values = [_value(task, metric, sample, part) for part in parts]
    if None in values:
        raise InputError(f"{metric} is undefined where {column!r} is shuffled")
    return [value for value in values if value is not None]


def _value(task: Task, metric: str, sample: _Sample, answers: Tensors) -> float | None:
    found = task.judged(answers)
    if not task.valid(found).all():
        return None
    if task.by_groups:
        units, _ = task.group_terms(sample.truths, task.kept(sample.truths, found, sample.groups), sample.groups)
    else:
        units = task.terms(sample.truths, found)
    return task.value(metric, task.reduce(units))
