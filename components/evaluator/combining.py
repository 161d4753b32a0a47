"""The evaluation as Beam's CombineFn: a shard is a row group of the test split."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components import columnar
from components.evaluator.config import EvaluationConfig
from components.evaluator.contender import Contender
from components.evaluator.findings import Findings, task_metrics
from components.evaluator.ranking import query_keys
from components.served_model import NUMERIC, class_indices
from spec.errors import InputError


@dataclasses.dataclass(frozen=True)
class Shard:
    """A row group of the test split.

    Attributes:
        group: what to read.
        first_row: its first row's place in the split.
    """

    group: columnar.RowGroup
    first_row: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What every worker has to know; the driver has checked that it fits together.

    Attributes:
        config: what to compute.
        classes: of the challenger.
        challenger: SavedModel folder.
        champion: SavedModel folder; None without one.
        columns: to read.
        pivot: for RegressionMetrics.
        thresholds: of challenger and champion, for BinaryMetrics.
    """

    config: EvaluationConfig
    classes: tuple[str, ...]
    challenger: pathlib.Path
    champion: pathlib.Path | None
    columns: tuple[str, ...]
    pivot: float = 0.0
    thresholds: tuple[float, float] = (0.5, 0.5)


class EvaluateShards(beam.CombineFn):
    """Predicts and sums shard by shard; the output are the finished `Findings`.

    Raises InputError for what a person has to mend. A champion that fails is no error: it drops out.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._challenger: Contender | None = None
        self._champion: Contender | None = None

    def teardown(self) -> None:
        self._challenger = self._champion = None

    def create_accumulator(self) -> Findings:
        plan = self._plan
        ours, theirs = (
            task_metrics(plan.config.task, len(plan.classes), plan.pivot, threshold) for threshold in plan.thresholds
        )
        return Findings(ours, plan.config.slice_columns, theirs if plan.champion else None, plan.config.seed)

    def add_input(self, findings: Findings, shard: Shard) -> Findings:
        self._load(findings, shard)
        self._add(findings, shard)
        return findings

    def merge_accumulators(self, accumulators: Iterable[Findings]) -> Findings:
        first, *others = accumulators
        for other in others:
            first.merge(other)
        return first

    def extract_output(self, findings: Findings) -> Findings:
        findings.finish()
        return findings

    def _load(self, findings: Findings, shard: Shard) -> None:
        # Not in setup(): Beam calls that, too, where accumulators are only merged.
        if self._challenger is None:
            self._challenger = Contender(self._plan.challenger)
        if self._champion is None and findings.champion is not None:
            assert self._plan.champion is not None
            try:
                self._champion = Contender(self._plan.champion)
            except InputError as error:
                findings.drop_champion(shard.first_row, str(error))

    def _add(self, findings: Findings, shard: Shard) -> None:
        assert self._challenger is not None
        config, place = self._plan.config, shard.first_row
        columns = list(self._plan.columns)
        for batch in columnar.read_file(shard.group.path, columns, config.batch_size, shard.group.number):
            if not batch.num_rows:
                continue
            labels = read_labels(batch.column(config.label), config, self._plan.classes)
            zeros = np.zeros(batch.num_rows, np.int64)
            queries = query_keys(batch.column(config.query), config.query) if config.query else zeros
            codes = [one.codes(batch.column(one.column)) for one in findings.slices.values()]
            predictions = [self._challenger.predict(batch)]
            if findings.champion is not None:
                assert self._champion is not None
                try:
                    predictions.append(self._champion.predict(batch))
                except InputError as error:
                    findings.drop_champion(place, str(error))
            places = np.arange(place, place + batch.num_rows)
            findings.add(places, labels, queries, codes, predictions)
            place += batch.num_rows


def read_labels(column: pa.Array, config: EvaluationConfig, classes: tuple[str, ...]) -> np.ndarray:
    """A batch's labels, [N]: class indices, or numbers.

    Raises:
        InputError: a label is missing, none of the classes, no finite number, or a negative relevance.
    """
    where = f"label {config.label!r}: "
    try:
        if config.task not in NUMERIC:
            return class_indices(column, classes)
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))
    except InputError as error:
        raise InputError(where + str(error)) from None
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise InputError(f"{where}{config.task} needs numbers. Received: {column.type}.") from None
    if bad := int((~np.isfinite(values)).sum()):
        raise InputError(f"{where}{bad} of {len(values)} values are missing or not finite. Remove those rows.")
    if config.task == "ranking" and (values < 0).any():
        raise InputError(f"{where}a relevance is 0 or more. Received: {values.min():g}. Mend those rows.")
    return values
