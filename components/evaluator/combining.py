"""The evaluation as Beam's CombineFn: a shard is a row group of the test split."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import pyarrow as pa

from components import columnar
from components.evaluator.config import EvaluationConfig
from components.evaluator.contender import Contender
from components.evaluator.findings import Findings
from components.tasks import Task, Tensors, query_keys
from spec.errors import InputError


@dataclasses.dataclass(frozen=True)
class Shard:
    """A row group of the test split.

    Attributes:
        first_row: its first row's place in the split.
    """

    group: columnar.RowGroup
    first_row: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What every worker has to know; the driver has checked that it fits together.

    Attributes:
        task: prepared for the challenger, at its decision threshold.
        challenger: SavedModel folder.
        champion: SavedModel folder; None without one.
    """

    config: EvaluationConfig
    task: Task
    challenger: pathlib.Path
    columns: tuple[str, ...]
    champion: pathlib.Path | None = None
    champion_task: Task | None = None


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
        return Findings(plan.task, plan.config.slice_columns, plan.champion_task, plan.config.seed)

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
            truths = self._plan.task.truths(batch, config.label)
            places = np.arange(place, place + batch.num_rows)
            groups = query_keys(batch.column(config.query), config.query) if config.query else places
            codes = [one.codes(batch.column(one.column)) for one in findings.slices.values()]
            answers, asked = _answers(self._challenger, batch, groups)
            predictions = [findings.challenger.task.judged(answers)[asked]]
            if findings.champion is not None:
                assert self._champion is not None
                try:
                    theirs, asked = _answers(self._champion, batch, groups)
                    predictions.append(_beside(findings.champion.task.judged(theirs)[asked], predictions[0], truths))
                except InputError as error:
                    findings.drop_champion(place, str(error))
            of_rows = {name: values[asked] for name, values in answers.items()}
            findings.notable.add(places, truths, of_rows, predictions[0])
            findings.add(places, truths, groups, codes, predictions)
            place += batch.num_rows


def _beside(theirs: np.ndarray, ours: np.ndarray, truths: np.ndarray) -> np.ndarray:
    """The champion's predictions; raises InputError where they are of another shape than the truths that the challenger is held to."""
    if truths.ndim > 1 and theirs.shape != ours.shape:
        raise InputError(f"its answers have shape {list(theirs.shape[1:])}, the challenger's {list(ours.shape[1:])}")
    return theirs


def _answers(model: Contender, batch: pa.RecordBatch, groups: np.ndarray) -> tuple[Tensors, np.ndarray | slice]:
    """What a model answers, and which of it belongs to each row: where a query gets one answer, it is asked once a batch."""
    if not model.spec.kind.answers_queries:
        return model.predict(batch), slice(None)
    _, firsts, query = np.unique(groups, return_index=True, return_inverse=True)
    return model.predict(batch.take(pa.array(firsts))), query
