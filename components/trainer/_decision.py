"""Above which probability a row is called positive, chosen on the eval split."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import keras

    from components.trainer._config import TrainingConfig
    from components.trainer._input import Split

_log = logging.getLogger(__name__)

Rule = float | str | Mapping[str, float]
Floats = npt.NDArray[np.floating[Any]]

HALF = 0.5
_BATCH = 1024
_FEW = 30  # positive rows of eval; a share of fewer wavers by more than 0.1


@dataclasses.dataclass(frozen=True)
class Decision:
    """A threshold, and what it comes to on eval.

    Attributes:
        threshold: a row is called positive above it, never at it.
        rule: how it was chosen, in words.
        positives: rows of eval that are positive.
        precision: at the threshold; None where no row is called positive, or it was not looked at.
        recall: at the threshold; None where no row is positive, or it was not looked at.
        caution: what a reader has to know; empty: nothing.
    """

    threshold: float = HALF
    rule: str = "0.5"
    positives: int | None = None
    precision: float | None = None
    recall: float | None = None
    caution: str = ""


def decide(rule: Rule, probabilities: Floats, labels: npt.NDArray[Any]) -> Decision:
    """Chooses the threshold.

    Thresholds are looked for between rows of different probability. Of those that keep a wanted precision the one with the
    greatest recall is taken, and the other way round; where none keeps it, the one that comes nearest.

    Args:
        rule: a number; `best_f1`; `{"precision": p}` or `{"recall": r}`.
        probabilities: of the positive class, [N].
        labels: 0 or 1, [N].
    """
    if isinstance(rule, int | float):
        return Decision(float(rule), f"{rule:g}")
    positives = int(np.sum(labels))
    words = rule if isinstance(rule, str) else ", ".join(f"{name} {value:g}" for name, value in rule.items())
    if not 0 < positives < len(labels):
        caution = f"all {len(labels):,} rows of eval are of one class, so {words} could not be looked for"
        return Decision(HALF, "0.5", positives, caution=caution)
    scores, called, hits = _cuts(probabilities, labels)
    precision, recall = hits / called, hits / positives
    if isinstance(rule, str):
        best, missed = int(np.argmax(2 * hits / (called + positives))), False
    else:
        ((name, wanted),) = rule.items()
        kept, other = (precision, recall) if name == "precision" else (recall, precision)
        missed = not (kept >= wanted).any()
        best = int(np.argmax(kept)) if missed else int(np.argmax(np.where(kept >= wanted, other, -1.0)))
    caution = f"{words} is reached nowhere on eval; this is the nearest" if missed else ""
    if positives < _FEW:
        caution = "; ".join(filter(None, (caution, f"chosen by {positives} positive rows of eval, which is few")))
    return Decision(_between(scores, best), words, positives, float(precision[best]), float(recall[best]), caution)


def on_eval(model: keras.Model, evaluation: Split, config: TrainingConfig) -> Decision:
    """The threshold of a fitted model; where the task has none, the default is of no account."""
    if not config.task_class.takes_threshold or isinstance(config.decision_threshold, int | float):
        return decide(config.decision_threshold, np.empty(0), np.empty(0))
    answers, labels = [], []
    for features, label in evaluation.dataset(_BATCH):
        answers.append(np.asarray(model.predict_on_batch(features))[:, 0])
        labels.append(label.numpy())
    found = decide(config.decision_threshold, np.concatenate(answers), np.concatenate(labels))
    if found.caution:
        _log.warning("training.decision_threshold: %s", found.caution)
    return found


def _cuts(probabilities: Floats, labels: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float32], Floats, Floats]:
    """Each different probability, falling, with the rows that are called positive from it on, and how many of them are."""
    scores = np.asarray(probabilities, np.float32)
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(np.asarray(labels, np.float64)[order])
    is_last = np.append(scores[1:] != scores[:-1], True)
    return scores[is_last], np.flatnonzero(is_last) + 1.0, hits[is_last]


def _between(scores: npt.NDArray[np.float32], place: int) -> float:
    """Halfway from a probability to the next smaller one, as the float32 that the served model compares with."""
    upper = scores[place]
    lower = scores[place + 1] if place + 1 < len(scores) else np.float32(0)
    middle = np.float32((float(upper) + float(lower)) / 2)
    return float(middle if middle < upper else lower)
