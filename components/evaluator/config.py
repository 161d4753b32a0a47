"""What the Evaluator is told, parsed once from its exec property."""

from __future__ import annotations

import dataclasses
import json

from components.evaluator.metrics import METRICS
from components.gates import Severity
from spec.errors import InputError

LEAST_ROWS, LEAST_ROWS_OF_SLICE = 10, 100
NOT_JUDGED = {"hold": Severity.CRITICAL, "warn": Severity.WARNING}


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A bound that a model must keep; both bounds are inclusive.

    Attributes:
        metric: one of METRICS[task].
        min: the least value that is good enough.
        max: the greatest value that is good enough.
        slice: a column; the bound then holds for each of its values that has enough rows.
        min_rows: rows that it takes to judge (queries, of ranking over all rows); None: see `least`.
    """

    metric: str
    min: float | None = None
    max: float | None = None
    slice: str | None = None
    min_rows: int | None = None

    @property
    def least(self) -> int:
        """Rows that it takes to judge."""
        return self.min_rows or (LEAST_ROWS if self.slice is None else LEAST_ROWS_OF_SLICE)

    def keeps_surely(self, low: float, high: float) -> bool:
        """Whether a value that is at least `low` and at most `high` lies within the bounds."""
        return (self.min is None or low >= self.min) and (self.max is None or high <= self.max)

    def keeps(self, value: float | None) -> bool:
        """Whether a value lies within the bounds; an undefined one does not."""
        if value is None:
            return False
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)

    def __str__(self) -> str:
        bounds = [
            f">= {self.min:g}" if self.min is not None else "",
            f"<= {self.max:g}" if self.max is not None else "",
        ]
        where = f" in every slice of {self.slice}" if self.slice else ""
        return f"{self.metric} {' and '.join(b for b in bounds if b)}{where}"


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How a model is judged.

    Attributes:
        task: binary, multiclass, regression or ranking.
        label: the label's column.
        champion_metric: by which challenger and champion are compared.
        query: ranking only: the column whose rows are ranked against each other.
        max_loss: how much worse than the champion the challenger may be, in the metric's unit.
        thresholds: bounds to keep.
        confidence: with which a threshold has to hold, one-sided.
        not_judged: what it means that one of them cannot be judged: hold (no blessing) or warn.
        slices: columns by whose values every metric is shown too.
        batch_size: rows a prediction batch.
        resamples: of the bootstrap.
        seed: of the bootstrap.
    """

    task: str
    label: str
    champion_metric: str
    query: str = ""
    max_loss: float = 0.0
    thresholds: tuple[Threshold, ...] = ()
    confidence: float = 0.95
    not_judged: str = "hold"
    slices: tuple[str, ...] = ()
    batch_size: int = 8192
    resamples: int = 200
    seed: int = 1

    def __post_init__(self) -> None:
        if self.task not in METRICS:
            raise InputError(f"evaluation: task must be one of {', '.join(METRICS)}. Received: {self.task!r}.")
        if (self.task == "ranking") != bool(self.query):
            raise InputError(
                f"evaluation: task ranking needs query, and no other task has one. Received: task {self.task}, query {self.query!r}."
            )
        if not 0.5 <= self.confidence < 1:
            raise InputError(f"evaluation.confidence must lie between 0.5 and 1. Received: {self.confidence!r}.")
        if self.not_judged not in NOT_JUDGED:
            raise InputError(
                f"evaluation.not_judged must be one of {', '.join(NOT_JUDGED)}. Received: {self.not_judged!r}."
            )
        for metric in (self.champion_metric, *(t.metric for t in self.thresholds)):
            if metric not in METRICS[self.task]:
                raise InputError(
                    f"evaluation: task {self.task} has no metric {metric!r}. Known: {', '.join(METRICS[self.task])}."
                )

    @classmethod
    def from_json(cls, text: str) -> EvaluationConfig:
        """Parses `{"task", "label", "query", "champion_metric", "thresholds", "slices", "champion": {"max_loss"}}`.

        The last three are the `evaluation` section of workload.yaml as it stands; `batch_size`, `resamples` and `seed`
        may be given too.

        Raises:
            InputError: a field is missing, unknown or of another type.
        """
        try:
            raw = json.loads(text)
            champion = raw.pop("champion", None) or {}
            raw.pop("baseline", None)  # says whether there is such a node; what it found is an input
            raw["thresholds"] = tuple(Threshold(**bound) for bound in raw.get("thresholds", ()))
            raw["slices"] = tuple(raw.get("slices", ()))
            raw.setdefault("max_loss", champion.get("max_loss", 0.0))
            return cls(**raw)
        except InputError:
            raise
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"evaluation: not a valid configuration: {error}. Received: {text[:200]}") from None

    @property
    def unjudged_severity(self) -> Severity:
        """Of a bound that cannot be judged."""
        return NOT_JUDGED[self.not_judged]

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """The columns to slice by: those shown and those judged."""
        return tuple(dict.fromkeys((*self.slices, *(t.slice for t in self.thresholds if t.slice))))
