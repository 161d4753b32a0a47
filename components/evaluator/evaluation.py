"""One pass over the eval split: predictions of challenger and champion on the same rows, summed by slice."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components import columnar
from components.errors import InputError
from components.evaluator.bootstrap import PairedSample
from components.evaluator.config import EvaluationConfig
from components.evaluator.metrics import BinaryMetrics, Sums, TaskMetrics, task_metrics
from components.evaluator.slices import SlicedSums
from components.served_model import ServedModel, class_indices, load_predictor

EVAL_SPLIT = "eval"
# Predictions are summed in larger portions than they are made in: histograms of many slices are costly to add.
_ROWS_PER_SUM = 131_072

Predictor = Callable[[Mapping[str, np.ndarray]], np.ndarray]


class Contender:
    """A model with what has been summed of its predictions.

    Attributes:
        spec: its description.
        sums: over all rows with a valid prediction; None before the first.
        invalid_rows: rows whose prediction is not finite or does not fit the task.
    """

    def __init__(self, saved_model: pathlib.Path) -> None:
        self.spec = ServedModel.read(saved_model)
        self.sums: Sums | None = None
        self.invalid_rows = 0
        self._predict = load_predictor(saved_model, self.spec)

    def predict(self, batch: pa.RecordBatch) -> np.ndarray:
        """Predictions for a batch of raw columns, [N] or [N, C].

        Raises:
            InputError: the batch does not fit the model, or its graph refuses it.
        """
        import tensorflow as tf

        inputs = self.spec.inputs(batch)
        try:
            found = self._predict(inputs)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, TypeError, ValueError) as error:
            raise InputError(
                f"the model fails on a batch of the eval split: {' '.join(str(error).split())[:300]}"
            ) from None
        classes = (len(self.spec.classes),) if self.spec.task == "multiclass" else ()
        if found.shape != (batch.num_rows, *classes):
            raise InputError(
                f"{self.spec.output!r} of a {self.spec.task} model has shape {['N', *classes]}. "
                f"Received: {list(found.shape)} for {batch.num_rows} rows. Mend build_model's output layer."
            )
        return found

    def add(self, sums: Sums) -> None:
        self.sums = sums if self.sums is None else self.sums + sums


@dataclasses.dataclass
class Outcome:
    """What one pass found.

    Attributes:
        metrics: of the task.
        classes: of the challenger.
        rows: of the eval split.
        challenger: with its sums.
        champion: with its sums, None where there is none or it cannot be compared.
        slices: by column.
        sample: of rows with both predictions.
        not_comparable: why there is a champion and no comparison; empty otherwise.
    """

    metrics: TaskMetrics
    classes: tuple[str, ...]
    rows: int
    challenger: Contender
    champion: Contender | None
    slices: dict[str, SlicedSums]
    sample: PairedSample
    not_comparable: str = ""


def evaluate(
    examples_uri: str, challenger: pathlib.Path, champion: pathlib.Path | None, config: EvaluationConfig
) -> Outcome:
    """Evaluates on the eval split of an Examples artifact.

    Args:
        examples_uri: of the artifact.
        challenger: SavedModel folder.
        champion: SavedModel folder; None without one.
        config: what to compute.

    Raises:
        InputError: the split is empty or lacks a column, or the challenger does not fit the data.
    """
    schema = _eval_schema(examples_uri)
    contender = Contender(challenger)
    if contender.spec.task != config.task:
        raise InputError(f"the workload's task is {config.task}, the model's is {contender.spec.task}. Train it anew.")
    _require(schema, [config.label], "the label")
    _require(schema, list(config.slice_columns), "evaluation.slices names it")
    _require(schema, list(contender.spec.features), "the model takes it as input")
    run = _Pass(config, contender)
    if champion is not None:
        run.enter_champion(champion, schema)
    columns = dict.fromkeys([config.label, *config.slice_columns, *run.features()])
    for batch in columnar.read_batches(examples_uri, EVAL_SPLIT, list(columns), config.batch_size):
        run.add(batch)
    return run.finish()


def _eval_schema(uri: str) -> pa.Schema:
    files = columnar.split_files(uri, EVAL_SPLIT)
    if not files or not columnar.count_rows(uri, EVAL_SPLIT):
        raise InputError(
            f"{columnar.split_directory(uri, EVAL_SPLIT)}: the eval split has no rows, so nothing can be judged. "
            "Give more data, or a larger data.split.eval_fraction in workload.yaml."
        )
    return pq.read_schema(files[0])


def _require(schema: pa.Schema, columns: list[str], why: str) -> None:
    missing = [name for name in columns if name not in schema.names]
    if missing:
        raise InputError(
            f"the eval split has no column {', '.join(map(repr, missing))} ({why}). "
            f"Received: {', '.join(schema.names)}."
        )


class _Pass:
    def __init__(self, config: EvaluationConfig, challenger: Contender) -> None:
        self._config = config
        self._challenger = challenger
        self._champion: Contender | None = None
        self._not_comparable = ""
        self._metrics: TaskMetrics | None = None
        self._slices: dict[str, SlicedSums] = {}
        self._sample = PairedSample(config.seed)
        self._waiting: list[tuple[np.ndarray, ...]] = []
        self._rows = 0

    def features(self) -> Iterator[str]:
        yield from self._challenger.spec.features
        if self._champion is not None:
            yield from self._champion.spec.features

    def enter_champion(self, saved_model: pathlib.Path, schema: pa.Schema) -> None:
        """Loads the champion; one that no longer fits task, classes or columns is left out, with the reason."""
        try:
            champion = Contender(saved_model)
            ours, theirs = self._challenger.spec, champion.spec
            if ours.task != theirs.task:
                raise InputError(f"its task is {theirs.task}, the challenger's {ours.task}")
            if ours.classes != theirs.classes:
                raise InputError(f"its classes are {_words(theirs.classes)}, the challenger's {_words(ours.classes)}")
            _require(schema, list(theirs.features), "it takes it as input")
            self._champion = champion
        except InputError as error:
            self._not_comparable = str(error)

    def add(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        label = batch.column(self._config.label)
        labels = self._labels(label)
        if self._metrics is None:
            self._begin(labels)
        arrays = [labels, *(s.codes(batch.column(s.column)) for s in self._slices.values())]
        arrays.append(self._challenger.predict(batch))
        if self._champion is not None:
            try:
                arrays.append(self._champion.predict(batch))
            except InputError as error:
                self._drop_champion(str(error))
        self._waiting.append(tuple(arrays))
        self._rows += len(labels)
        if sum(len(part[0]) for part in self._waiting) >= _ROWS_PER_SUM:
            self._sum()

    def finish(self) -> Outcome:
        self._sum()
        if self._champion is not None and self._champion.invalid_rows:
            self._drop_champion(f"{self._champion.invalid_rows:,} of its predictions are not finite or not in range")
        assert self._metrics is not None, "an empty split was refused before"
        return Outcome(
            self._metrics,
            self._challenger.spec.classes,
            self._rows,
            self._challenger,
            self._champion,
            self._slices,
            self._sample,
            self._not_comparable,
        )

    def _begin(self, labels: np.ndarray) -> None:
        self._metrics = task_metrics(self._config.task, len(self._challenger.spec.classes), float(labels.mean()))
        self._slices = {column: SlicedSums(column, self._metrics) for column in self._config.slice_columns}

    def _labels(self, column: pa.Array) -> np.ndarray:
        where = f"label {self._config.label!r}: "
        try:
            if self._config.task != "regression":
                return class_indices(column, self._challenger.spec.classes)
            values = np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False))
        except InputError as error:
            raise InputError(where + str(error)) from None
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise InputError(f"{where}regression needs numbers. Received: {column.type}.") from None
        bad = int((~np.isfinite(values)).sum())
        if bad:
            raise InputError(f"{where}{bad} of {len(values)} values are missing or not finite. Remove those rows.")
        return values

    def _drop_champion(self, reason: str) -> None:
        self._champion, self._not_comparable = None, reason
        self._sample.drop_last_model()
        models = 1 + len(self._slices) + 1
        self._waiting = [part[:models] for part in self._waiting]

    def _sum(self) -> None:
        if not self._waiting:
            return
        assert self._metrics is not None
        labels, *rest = (np.concatenate(arrays) for arrays in zip(*self._waiting, strict=True))
        self._waiting = []
        codes, predictions = rest[: len(self._slices)], rest[len(self._slices) :]
        valid = [self._metrics.valid(found) for found in predictions]
        models = [self._challenger] if self._champion is None else [self._challenger, self._champion]
        for model, found, good in zip(models, predictions, valid, strict=True):
            rows = self._metrics.prepare(labels[good], found[good])
            model.add(self._metrics.reduce(rows))
            model.invalid_rows += int((~good).sum())
            if model is self._challenger:
                for one, code in zip(self._slices.values(), codes, strict=True):
                    one.add(rows, code[good])
        both = np.logical_and.reduce(valid)
        self._sample.add(labels[both], *(found[both] for found in predictions))


def _words(classes: tuple[str, ...]) -> str:
    return ", ".join(map(repr, classes[:20])) + (f" and {len(classes) - 20} more" if len(classes) > 20 else "")


def confusion_counts(outcome: Outcome) -> np.ndarray | None:
    """Rows by truth and prediction, [C, C]; None for regression."""
    sums = outcome.challenger.sums
    assert sums is not None
    if outcome.metrics.task == "regression":
        return None
    if isinstance(outcome.metrics, BinaryMetrics):
        rows, positives, called, hits = (
            float(sums.terms[name][0]) for name in ("rows", "labels", "called", "true_positives")
        )
        return np.array([[rows - positives - called + hits, called - hits], [positives - hits, hits]])
    return sums.cells["confusion"][0].reshape(len(outcome.classes), -1)
