"""One pass over the test split: predictions of challenger and champion on the same rows, summed by slice."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa

from components import columnar
from components.evaluator.bootstrap import Pair, PairedSample
from components.evaluator.combining import EvaluateShards, Plan, Shard, read_labels
from components.evaluator.config import EvaluationConfig
from components.evaluator.findings import Findings, ModelSums
from components.evaluator.metrics import BinaryMetrics, TaskMetrics, Values
from components.evaluator.slices import SlicedSums
from components.evaluator.trivial import trivial
from components.served_model import NUMERIC, ServedModel
from spec.errors import InputError
from spec.splits import TEST

# ColumnarBeamExecutor._combine: elements, a CombineFn and the elements' bytes in, what it extracts from them all out.
Combine = Callable[[Sequence[Any], beam.CombineFn, int], Any]


@dataclasses.dataclass
class Outcome:
    """What one pass found.

    Attributes:
        metrics: of the task.
        classes: of the challenger.
        rows: of the test split.
        challenger: what was summed of it.
        champion: what was summed of it, None where there is none or it cannot be compared.
        slices: by column.
        sample: of rows with both predictions; empty for ranking.
        pair: what both models are compared on; None without a champion.
        not_comparable: why there is a champion and no comparison; empty otherwise.
        trivial: the metrics of a model that ignores its inputs.
    """

    metrics: TaskMetrics
    classes: tuple[str, ...]
    rows: int
    challenger: ModelSums
    champion: ModelSums | None
    slices: Mapping[str, SlicedSums]
    sample: PairedSample
    pair: Pair | None = None
    not_comparable: str = ""
    trivial: Values = dataclasses.field(default_factory=dict)


def evaluate(
    examples_uri: str,
    challenger: pathlib.Path,
    champion: pathlib.Path | None,
    config: EvaluationConfig,
    combine: Combine,
) -> Outcome:
    """Evaluates on the test split of an Examples artifact.

    Args:
        examples_uri: of the artifact.
        challenger: SavedModel folder.
        champion: SavedModel folder; None without one.
        config: what to compute.
        combine: runs the work, here or on Beam's workers.

    Raises:
        InputError: the split is empty or lacks a column, or the challenger does not fit the data.
    """
    shards, schema = _shards(examples_uri)
    spec = ServedModel.read(challenger)
    if spec.task != config.task:
        raise InputError(f"the workload's task is {config.task}, the model's is {spec.task}. Train it anew.")
    _require(schema, [config.label], "the label")
    _require(schema, [config.query] if config.query else [], "data.query names it")
    _require(schema, list(config.slice_columns), "evaluation.slices names it")
    _require(schema, list(spec.features), "the model takes it as input")
    columns = dict.fromkeys([config.label, *config.slice_columns, *spec.features])
    if config.query:
        columns[config.query] = None
    not_comparable, thresholds = "", (spec.threshold, spec.threshold)
    if champion is not None:
        try:
            theirs = _comparable(spec, champion, schema)
            columns |= dict.fromkeys(theirs.features)
            thresholds = (spec.threshold, theirs.threshold)
        except InputError as error:
            champion, not_comparable = None, str(error)
    pivot = _pivot(shards[0], config) if config.task == "regression" else 0.0
    plan = Plan(config, spec.classes, challenger, champion, tuple(columns), pivot, thresholds)
    found: Findings = combine(shards, EvaluateShards(plan), sum(shard.group.size_bytes for shard in shards))
    if found.rows != (rows := columnar.count_rows(examples_uri, TEST)):
        raise RuntimeError(f"the test split has {rows} rows and {found.rows} were evaluated")
    if found.not_comparable is not None:
        not_comparable = found.not_comparable[1]
    return Outcome(
        found.metrics,
        spec.classes,
        found.rows,
        found.challenger,
        found.champion,
        found.slices,
        found.sample,
        found.pair,
        not_comparable,
        _trivial(found),
    )


def _trivial(found: Findings) -> Values:
    sums = found.constant or found.challenger.sums
    assert sums is not None
    labels, *_ = found.sample.arrays() or (np.zeros(0),)
    return trivial(found.metrics, sums, labels)


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
    if ours.classes != theirs.classes:
        raise InputError(f"its classes are {_words(theirs.classes)}, the challenger's {_words(ours.classes)}")
    _require(schema, list(theirs.features), "it takes it as input")
    return theirs


def _words(classes: tuple[str, ...]) -> str:
    return ", ".join(map(repr, classes[:20])) + (f" and {len(classes) - 20} more" if len(classes) > 20 else "")


def _pivot(shard: Shard, config: EvaluationConfig) -> float:
    """The mean of the first labels: near to all of them, and the same for every worker."""
    batch = next(columnar.read_file(shard.group.path, [config.label], config.batch_size, shard.group.number))
    return float(np.mean(read_labels(batch.column(0), config, ())))


def confusion_counts(outcome: Outcome) -> np.ndarray | None:
    """Rows by truth and prediction, [C, C]; None where there are no classes."""
    sums = outcome.challenger.sums
    assert sums is not None
    if outcome.metrics.task in NUMERIC:
        return None
    if isinstance(outcome.metrics, BinaryMetrics):
        rows, positives, called, hits = (
            float(sums.terms[name][0]) for name in ("rows", "labels", "called", "true_positives")
        )
        return np.array([[rows - positives - called + hits, called - hits], [positives - hits, hits]])
    return sums.cells["confusion"][0].reshape(len(outcome.classes), -1)
