"""One pass over the test split: predictions of challenger and champion on the same rows, summed by slice."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa

from components import columnar
from components.evaluator.combining import EvaluateShards, Plan, Shard
from components.evaluator.config import EvaluationConfig
from components.evaluator.contender import Contender, Judge
from components.evaluator.findings import Findings
from components.served_model import ServedModel
from components.tasks import Context, Predict, Read
from spec.errors import InputError
from spec.splits import TEST, TRAIN
from spec.words import some_of

_ROWS_OF_PICTURES = 256  # a prediction batch of files that the model unpacks: to as many numbers as it likes

# ColumnarBeamExecutor._combine: elements, a CombineFn and the elements' bytes in, what it extracts from them all out.
Combine = Callable[[Sequence[Any], beam.CombineFn, int], Any]


def evaluate(
    examples_uri: str,
    challenger: pathlib.Path,
    champion: pathlib.Path | None,
    config: EvaluationConfig,
    combine: Combine,
    catalogue: pathlib.Path | None = None,
    judge: pathlib.Path | None = None,
) -> Findings:
    """Evaluates on the test split of an Examples artifact.

    Args:
        challenger: SavedModel folder.
        champion: SavedModel folder; None without one.
        combine: runs the work, here or on Beam's workers.
        catalogue: the folder of the items that the task finds; None where it finds none.
        judge: SavedModel folder of `evaluation.judge`; None without one.

    Raises:
        InputError: the split is empty or lacks a column, or the challenger does not fit the data.
    """
    shards, schema = _shards(examples_uri)
    spec = ServedModel.read(challenger)
    if spec.task != config.task:
        raise InputError(f"the workload's task is {config.task}, the model's is {spec.task}. Train it anew.")
    _require(schema, [config.label] if config.label else [], "the label")
    truths = spec.kind.truth_columns(config.label)
    _require(schema, list(truths), "rows are judged by it")
    _require(schema, [config.query] if config.query else [], "data.query names it")
    _require(schema, list(config.slice_columns), "evaluation.slices or evaluation.fairness names it")
    _require(schema, list(spec.features), "the model takes it as input")
    columns = dict.fromkeys(filter(None, [config.label, *truths, *config.slice_columns, *spec.features, config.query]))
    if any(_holds_bytes(schema.field(name).type) for name in spec.features):
        config = config.model_copy(update={"batch_size": min(config.batch_size, _ROWS_OF_PICTURES)})
    not_comparable, theirs = "", None
    if champion is not None:
        try:
            theirs = _comparable(spec, champion, schema)
            columns |= dict.fromkeys(theirs.features)
        except InputError as error:
            champion, not_comparable = None, str(error)
    given = context(examples_uri, config.label, config.query, config.batch_size, catalogue)
    given = dataclasses.replace(given, judge=Judge(judge, config.judge or "") if judge else None)
    asked = _asking(spec, challenger, given)
    task = spec.kind.prepare(asked)
    plan = Plan(
        config,
        task,
        challenger,
        tuple(columns),
        champion,
        theirs.kind.prepare(_asking(theirs, champion, given)) if theirs and champion else None,
    )
    found: Findings = combine(shards, EvaluateShards(plan), sum(shard.group.size_bytes for shard in shards))
    if found.rows != (rows := columnar.count_rows(examples_uri, TEST)):
        raise RuntimeError(f"the test split has {rows} rows and {found.rows} were evaluated")
    if not_comparable:
        found.drop_champion(0, not_comparable)
    found.model_checks = task.model_checks(asked)
    return found


def _asking(spec: ServedModel, saved_model: pathlib.Path, given: Context) -> Context:
    """The context with a model."""
    load = functools.cache(Contender)  # not before there is a batch
    return dataclasses.replace(
        given,
        predict=lambda batch: load(saved_model).predict(batch),
        predict_exactly=lambda batch: load(saved_model, by_index=False).predict(batch),
        columns=tuple(spec.features),
    )


def context(
    examples_uri: str,
    label: str | None,
    query: str | None,
    batch_size: int,
    catalogue: pathlib.Path | None = None,
    predict: Predict = lambda batch: {},
) -> Context:
    """What a task may look at of some Examples and of a model, or of what is judged in its place."""

    def reader(split: str) -> Read:
        return lambda columns: columnar.read_batches(examples_uri, split, list(columns), batch_size)

    return Context(label, query, reader(TEST), reader(TRAIN), predict, catalogue)


def _shards(uri: str) -> tuple[list[Shard], pa.Schema]:
    shards: list[Shard] = []
    rows = 0
    for group in columnar.row_groups(uri, TEST):
        if group.rows:
            shards.append(Shard(group, rows))
            rows += group.rows
    if not rows:
        raise InputError(
            f"{columnar.split_directory(uri, TEST)}: the test split has no rows, so nothing can be judged. "
            "Give more data, or a larger data.split.test_fraction in workload.yaml."
        )
    return shards, columnar.split_schema(uri, TEST)


def _holds_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _require(schema: pa.Schema, columns: list[str], why: str) -> None:
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise InputError(
            f"the test split has no column {', '.join(map(repr, missing))} ({why}). "
            f"Received: {', '.join(schema.names)}."
        )


def _comparable(ours: ServedModel, champion: pathlib.Path, schema: pa.Schema) -> ServedModel:
    """The champion's description; raises InputError for one that no longer fits task, classes or columns."""
    theirs = ServedModel.read(champion)
    if ours.task != theirs.task:
        raise InputError(f"its task is {theirs.task}, the challenger's {ours.task}")
    if ours.kind.classes != theirs.kind.classes:
        champions, challengers = (some_of([repr(name) for name in one.kind.classes], 20) for one in (theirs, ours))
        raise InputError(f"its classes are {champions}, the challenger's {challengers}")
    _require(schema, list(theirs.features), "it takes it as input")
    return theirs
