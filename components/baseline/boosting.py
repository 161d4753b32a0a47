"""Gradient boosting as scikit-learn gives it: nothing is tuned, so that anyone has it in three lines."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from components.baseline.encoding import Floats

MOST_ROWS = 100_000
_MOST_CELLS = 20_000_000  # of the matrix: wide data is learnt from fewer rows
_MOST_TREES = 2000  # a class has trees of its own
_ITERATIONS = 100  # scikit-learn's default


def most_rows(columns: int) -> int:
    """How many rows are learnt from, so that it takes seconds."""
    return min(MOST_ROWS, max(1000, _MOST_CELLS // max(1, columns)))


class Boosting:
    """Trees for classes or for numbers.

    Args:
        classes: how many; 0 for numbers.
        categorical: which columns hold codes, [d].

    Example:
        boosting = Boosting(2, [False, True])
        boosting.fit(features, labels)
        probabilities = boosting.predict(features)
    """

    def __init__(self, classes: int, categorical: Sequence[bool]) -> None:
        self._classes = classes
        self._categorical = list(categorical)

    def fit(self, features: Floats, labels: np.ndarray) -> None:
        """Learns from float64 [N, d] and class indices or numbers [N].

        Raises:
            ValueError: there is nothing to learn, e.g. labels of one class.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits

        options: dict[str, Any] = {"categorical_features": self._categorical, "random_state": 1}
        if self._classes:
            rows = np.bincount(labels, minlength=self._classes)
            if (rows > 0).sum() < 2:
                raise ValueError("the rows of the train split are all of one class")
            # It sets rows of each class aside to see when to stop, which takes two.
            options["early_stopping"] = "auto" if rows[rows > 0].min() > 1 else False
            options["max_iter"] = max(10, min(_ITERATIONS, _MOST_TREES // self._classes))
            self._model = HistGradientBoostingClassifier(**options)
        else:
            self._model = HistGradientBoostingRegressor(**options)
        # On one thread: those of OpenMP spin while they wait for each other, and where another process has the core that one of
        # them needs, half a second becomes half a minute.
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")
            self._model.fit(features, labels)

    def predict(self, features: Floats) -> np.ndarray:
        """As a model answers: numbers [N], the positive class's probability [N], or probabilities [N, C]."""
        if not self._classes:
            return np.asarray(self._model.predict(features))
        found = self._model.predict_proba(features)
        if found.shape[1] != self._classes:  # some class has no row in the train split
            whole = np.zeros((len(found), self._classes))
            whole[:, self._model.classes_.astype(int)] = found
            found = whole
        return np.asarray(found[:, 1] if self._classes == 2 else found)
