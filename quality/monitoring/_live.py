"""How well each version does on the requests that it answered, by the labels that came later, in the Evaluator's own metrics."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from components.confidence import Bounds
from components.evaluator.bars import breach, figure, words
from components.gates import Verdict
from components.served_model import ServedModel
from components.tasks import Context, MergeableSums, Task
from model_store import ModelStore
from quality.monitoring._answered import Answered, answered_rows
from quality.monitoring._described import described
from quality.monitoring._feedback import LABEL
from spec import home
from spec.errors import InputError
from spec.workload import Bound, Live, Workload


@dataclasses.dataclass(frozen=True)
class LiveMetric:
    """One metric of one version.

    Attributes:
        value: None where it is undefined, as AUC is of one class.
        low, high: how sure it is, each at `monitoring.live.confidence`; None where nothing can be said.
        limit: the workload's bound on it; None without one.
        verdict: failed only where the bound is surely broken, passed where it holds; else, or without a bound, not judged.
    """

    metric: str
    value: float | None
    low: float | None
    high: float | None
    limit: Bound | None
    verdict: Verdict
    message: str


@dataclasses.dataclass(frozen=True)
class LiveVersion:
    """What the labels say of one version.

    Attributes:
        label: that points at it now, stable or canary; empty: none.
        answered: rows within the window.
        labelled: those of them whose label is known and fits.
        metrics: every metric of the task; empty without a labelled row.
    """

    version: int
    label: str
    answered: int
    labelled: int
    metrics: tuple[LiveMetric, ...]

    @property
    def share(self) -> float:
        """Of the rows, how many have a label."""
        return self.labelled / self.answered if self.answered else 0.0

    @property
    def broken(self) -> tuple[LiveMetric, ...]:
        """The metrics whose bound is surely broken."""
        return tuple(one for one in self.metrics if one.verdict is Verdict.FAILED)

    def metric(self, name: str) -> LiveMetric | None:
        return next((one for one in self.metrics if one.metric == name), None)


def live_versions(workload: Workload, record: pathlib.Path, now: datetime.datetime) -> list[LiveVersion]:
    """Every version that answered within the window, the newest first.

    Args:
        record: the model server's `--record`.

    Raises:
        InputError, StoreError: the task cannot be judged so, or there is no record of the model.
    """
    store = ModelStore(home.store_uri())
    labels: dict[int, str] = {}
    for label, version in sorted(store.labels(workload.name).items(), reverse=True):
        labels.setdefault(version, label)
    known = set(store.versions(workload.name))
    model = functools.cache(lambda version: described(store.release(workload.name, version)))

    def output_of(version: int) -> str:
        # A release that was deleted since is counted, and not judged: nothing is left to say what its classes were.
        return model(version).kind.judged_output if version in known else ""

    live = workload.monitoring.live
    since = now - datetime.timedelta(hours=live.window_hours)
    found = answered_rows(record, workload.name, since, output_of)
    return [
        _version(version, labels.get(version, ""), rows, model(version) if version in known else None, live)
        for version, rows in sorted(found.items(), reverse=True)
    ]


def _version(version: int, label: str, rows: Answered, model: ServedModel | None, live: Live) -> LiveVersion:
    labelled, sums, task = 0, None, None
    if model is not None and rows.labels:
        labelled, sums, task = _sums(model.kind, rows)
    metrics = () if sums is None or task is None else tuple(_metrics(task, sums, labelled, live))
    return LiveVersion(version, label, rows.rows, labelled, metrics)


def _sums(kind: Task, rows: Answered) -> tuple[int, MergeableSums | None, Task]:
    """How many labelled rows can be judged, what their metrics are made of, and the task that has seen them."""
    if not kind.takes_feedback():
        raise InputError(f"answers of task {kind.name} cannot be held against a label a row.")
    answers, labels = _alike(rows, kind)
    fits = np.array([_fits(label, kind) for label in labels], bool)
    labels = [label for label, fine in zip(labels, fits, strict=True) if fine]
    column = pa.array(labels)
    predictions = np.asarray(answers, np.float64)[fits] if len(fits) else np.empty(0)
    if not len(column):
        return 0, None, kind
    batch = pa.RecordBatch.from_arrays([column], [LABEL])
    task = kind.prepare(Context(LABEL, None, lambda _: iter([batch]), lambda _: iter([batch]), lambda _: {}))
    truths = task.truths(batch, LABEL)
    valid = task.valid(predictions)
    return int(valid.sum()), task.reduce(task.terms(truths[valid], predictions[valid])), task


def _alike(rows: Answered, kind: Task) -> tuple[list[Any], list[Any]]:
    """The answers of the shape that the task judges, with their labels; a number that was not finite was recorded as null."""
    shape = kind.judged_shape
    pairs = [
        (answer, label)
        for answer, label in zip(rows.answers, rows.labels, strict=True)
        if np.shape(answer) == shape and None not in np.ravel(np.asarray(answer, object))
    ]
    return [answer for answer, _ in pairs], [label for _, label in pairs]


def _fits(label: Any, kind: Task) -> bool:
    """Whether a label is one of this version's: a newer release may have classes that this one does not know."""
    if not kind.label_kind.has_classes:
        return isinstance(label, float)
    return all(name in kind.classes for name in (label if isinstance(label, list) else [label]))


def _metrics(task: Task, sums: MergeableSums, rows: int, live: Live) -> Iterator[LiveMetric]:
    limits = {one.metric: one for one in live.metrics}
    for name in task.metric_names():
        value, sure = task.value(name, sums), task.bounds(name, sums, live.confidence)
        verdict, message = _judged(task, name, limits.get(name), value, sure, rows, live)
        low, high = (sure.low, sure.high) if sure else (None, None)
        yield LiveMetric(name, value, low, high, limits.get(name), verdict, message)


def _judged(
    task: Task, name: str, limit: Bound | None, value: float | None, sure: Bounds | None, rows: int, live: Live
) -> tuple[Verdict, str]:
    unit = f"{rows:,} rows with a label"
    if value is None:
        return Verdict.NOT_JUDGED, f"{name} is undefined on {unit}"
    how_sure = f" ({words(task.metric(name), sure, live.confidence, limit)})" if sure else ""
    if limit is None:
        return Verdict.NOT_JUDGED, f"{name} {figure(value)}{how_sure}"
    if rows < live.min_rows:
        return Verdict.NOT_JUDGED, f"{unit} are too few to tell {name} (monitoring.live.min_rows {live.min_rows:,})"
    if limit.keeps(value):
        return Verdict.PASSED, f"{name} {figure(value)}{how_sure}"
    broken = f"{breach(limit, value)} on {unit}"
    if sure is None or not surely_broken(limit, sure):
        return Verdict.NOT_JUDGED, f"{broken}, but that may be chance: {_at_best(limit, value, sure, live.confidence)}"
    return Verdict.FAILED, f"{broken} ({_at_best(limit, value, sure, live.confidence)})"


def surely_broken(limit: Bound, sure: Bounds) -> bool:
    """Whether all that a metric may be lies beyond its bound."""
    below = limit.min is not None and sure.high < limit.min
    return below or (limit.max is not None and sure.low > limit.max)


def _at_best(limit: Bound, value: float, sure: Bounds | None, level: float) -> str:
    """How near to its bound a metric that breaks it may be."""
    if sure is None:
        return "nothing is known of how sure it is"
    below = limit.min is not None and value < limit.min
    return f"{100 * level:g} % {f'at most {figure(sure.high)}' if below else f'at least {figure(sure.low)}'}"
