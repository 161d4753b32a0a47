"""Counts a version's predictions in bins that are the same for every version: the basis for measuring prediction drift.

Bins do not depend on the data, so the counts of several servers can be added, and two versions compared bin by bin. A reader may
merge neighbouring bins.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Iterator

import numpy as np

from serving.codec.tensors import Arrays

MOST_CLASSES = 64
OTHER = "(other)"
_MOST_OUTPUTS = 4
_MOST_ROWS = 1024
_PROBABILITY_BINS = 20
_GROWTH = math.log(1.2)
_MOST_STEPS = 100  # 1.2 ** 100 is 8e7; larger values, and those closer to 0 than 1e-8, share the outermost bins


class PredictionBins:
    """Sorts predictions into bins; remembers the classes of each version, to limit their number."""

    def __init__(self) -> None:
        self._classes: dict[tuple[str, int, str], set[str]] = {}
        self._lock = threading.Lock()

    def count(self, model: str, version: int, outputs: Arrays) -> Iterator[tuple[str, str, int]]:
        """(output, bin, rows) of one answer. The bin of a number is its lower edge, that of a class its name."""
        for name in sorted(outputs)[:_MOST_OUTPUTS]:
            values = outputs[name][:_MOST_ROWS] if outputs[name].ndim else outputs[name].reshape(1)
            if values.ndim == 2 and values.shape[1] and values.dtype.kind == "O":
                values = values[:, 0]  # the first of ranked answers
            if values.dtype.kind == "O" and values.ndim == 1:
                names = [_text(value) for value in values.tolist()]
                counts = Counter(self._bounded((model, version, name), names))
            elif values.dtype.kind in "fiu" and values.ndim == 1:
                counts = Counter(_edges(values.astype(np.float64), name in ("probability", "confidence")))
            elif values.dtype.kind == "f" and values.ndim == 2 and values.shape[1] <= MOST_CLASSES:
                counts = Counter(str(index) for index in values.argmax(axis=1).tolist())
            else:
                continue
            yield from ((name, bin_, rows) for bin_, rows in counts.items())

    def forget(self, model: str, version: int) -> None:
        with self._lock:
            for key in [key for key in self._classes if key[:2] == (model, version)]:
                del self._classes[key]

    def _bounded(self, key: tuple[str, int, str], names: list[str]) -> list[str]:
        with self._lock:
            known = self._classes.setdefault(key, set())
            for name in names:
                if len(known) < MOST_CLASSES:
                    known.add(name)
            return [name if name in known else OTHER for name in names]


def _edges(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], probability: bool) -> list[str]:
    """The lower edges of the values' bins: 0.05 wide for probabilities, else a fifth of the value wide."""
    values = values[np.isfinite(values)]
    if probability:
        return [
            f"{n / _PROBABILITY_BINS:.2f}"
            for n in np.clip(np.floor(values * _PROBABILITY_BINS), 0, _PROBABILITY_BINS - 1).tolist()
        ]
    with np.errstate(divide="ignore"):
        steps = np.clip(np.floor(np.log(np.abs(values)) / _GROWTH), -_MOST_STEPS, _MOST_STEPS)
    return [
        f"{sign * math.exp(step * _GROWTH):.4g}" if sign else "0"
        for sign, step in zip(np.sign(values).tolist(), steps.tolist(), strict=True)
    ]


def _text(value: object) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 64 else text[:61] + "..."
