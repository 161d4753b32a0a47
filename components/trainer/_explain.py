"""The signature `explain`: how far each raw column moved an answer, away from the answer to an ordinary row.

Integrated gradients (Sundararajan, Taly and Yan, 2017) of the model's features. Numbers move evenly from the ordinary row to the row
itself. Ids and texts have no gradient: they change at once, one after the other, before the numbers move, and on the way back after.
What counts is the mean of the path and its reverse, as of two antithetic permutations (Mitchell, Cooper, Frank and Holmes, 2022): what
an id does together with another feature is shared by the two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from components.served_model.explained import ATTRIBUTION, BASELINE_SCORE, MAP, SCORE
from components.trainer._input import Split
from components.trainer.late import row_bytes

Row = Mapping[str, npt.NDArray[Any]]
Features = dict[str, tf.Tensor]
_STEPS = 32  # of numbers along a path, by Gauss and Legendre
_CHANNELS = (1, 3, 4)
_MOST_ROWS, _FEWEST_ROWS, _ROWS_BYTES = 1000, 16, 128 * 2**20


def ordinary(split: Split) -> dict[str, npt.NDArray[Any]]:
    """The ordinary row of a split: of each of the model's features the mean, or of ids and texts the most frequent one, [...]."""
    rows = _ROWS_BYTES // (row_bytes(split.late.features.values()) + 1)
    return {
        name: np.asarray(values.mean(axis=0, dtype=np.float64), np.float32)
        if values.dtype.kind == "f"
        else _mode(values)
        for name, values in split.spread(max(_FEWEST_ROWS, min(_MOST_ROWS, rows))).items()
    }


def _mode(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    places = values.reshape(len(values), -1).T
    found = np.empty(len(places), values.dtype)
    for place, here in enumerate(places):
        known, counts = np.unique(here, return_counts=True)
        found[place] = known[counts.argmax()]
    return found.reshape(values.shape[1:])


def map_shape(feature: Sequence[int], column: Sequence[int]) -> tuple[int, int] | None:
    """Height and width of a picture's pixels; None where a feature is no picture.

    Args:
        feature: the shape of its rows.
        column: that of the raw column's; flat pixels are laid out so, or as a square.
    """
    shape = tuple(feature)
    if len(shape) == 1:
        side = int(shape[0] ** 0.5)
        shape = tuple(column) if len(column) > 1 and np.prod(column) == shape[0] else (side, side)
        if np.prod(shape) != feature[0]:
            return None
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in _CHANNELS):
        return shape[0], shape[1]
    return None


@dataclasses.dataclass(frozen=True)
class Explainer:
    """Explains answers, in the graph.

    Attributes:
        score: of features [n, ...] and of what was answered to the rows that they are on the way to [n, ...]: what is explained, [n].
        ordinary: the row that others are compared with, [...] by feature.
        inputs: of the signature that each feature is made of.
        maps: height and width of features that are pictures, each made of one input.
        at_once: points of a path that take little memory.
    """

    score: Callable[[Features, Any], Any]
    ordinary: Row
    inputs: Mapping[str, Sequence[str]]
    maps: Mapping[str, tuple[int, int]]
    at_once: int

    def answers(self, features: Features, answered: Any, inputs: Iterable[str]) -> dict[str, Any]:
        """The outputs of the signature.

        Args:
            features: of the rows, [N, ...]; those that are not in `ordinary` stay as they are.
            answered: the model's output to them, [N, ...].
            inputs: all that the signature has.
        """
        base = {name: tf.constant(value, features[name].dtype) for name, value in self.ordinary.items()}
        numbers = [name for name in base if features[name].dtype.is_floating]
        ids = [name for name in base if name not in numbers]
        path = _Path.of(len(ids), bool(numbers))
        scores, slopes = self._walk(path, features, base, numbers, ids, answered)
        moved = {name: slopes[name] * (features[name] - base[name]) for name in numbers}
        moved |= {name: tf.linalg.matvec(scores, path.jumps[:, place]) for place, name in enumerate(ids)}
        found = {SCORE: scores[:, -1], BASELINE_SCORE: scores[:, 0]}
        for one in inputs:
            shares = [_of_rows(moved[name]) / len(made_of) for name, made_of in self.inputs.items() if one in made_of]
            found[one + ATTRIBUTION] = sum(shares, tf.zeros_like(scores[:, 0]))
        for name, shape in self.maps.items():
            found[self.inputs[name][0] + MAP] = _map(moved[name], shape)
        return found

    def _walk(
        self, path: _Path, features: Features, base: Features, numbers: Sequence[str], ids: Sequence[str], answered: Any
    ) -> tuple[Any, Features]:
        """The score at each point of each row's path, [N, points], and the mean slope of each number, [N, ...]."""
        rows = tf.shape(answered)[0]
        total = rows * path.points

        def step(start: Any, scores: Any, slopes: Features) -> tuple[Any, Any, Features]:
            place = tf.range(start, tf.minimum(start + self.at_once, total))
            row, point = place // path.points, place % path.points
            here = {name: tf.gather(value, row) for name, value in features.items()}
            for number, name in enumerate(ids):
                changed = tf.gather(path.changed[:, number], point)
                here[name] = tf.where(_beside(changed, here[name]), here[name], base[name])
            at, weight = tf.gather(path.at, point), tf.gather(path.weights, point)
            moving = {name: base[name] + _beside(at, here[name]) * (here[name] - base[name]) for name in numbers}
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(moving)
                score = self.score(here | moving, tf.gather(answered, row))
            found = tape.gradient(score, moving, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            for name in numbers:
                slope = _beside(weight, here[name]) * found[name]
                slopes[name] += tf.math.unsorted_segment_sum(slope, row, rows)
            return start + self.at_once, tf.tensor_scatter_nd_update(scores, place[:, tf.newaxis], score), slopes

        begin = (tf.constant(0), tf.zeros([total]), {name: tf.zeros_like(features[name]) for name in numbers})
        _, scores, slopes = tf.while_loop(lambda start, *_: start < total, step, begin, parallel_iterations=1)
        return tf.reshape(scores, [rows, path.points]), slopes


@dataclasses.dataclass(frozen=True)
class _Path:
    """From the ordinary row, the first point, to a row, the last one: on a path and on its reverse.

    Attributes:
        at: how far the numbers have come, [points].
        weights: of the slopes there in their mean, [points].
        changed: which ids are the row's own, [points, ids].
        jumps: how the scores there count for each id, [points, ids].
    """

    at: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    changed: npt.NDArray[np.bool_]
    jumps: npt.NDArray[np.float32]

    @property
    def points(self) -> int:
        return len(self.at)

    @classmethod
    def of(cls, ids: int, has_numbers: bool) -> Self:
        """For so many features that change at once."""
        nodes, weights = np.polynomial.legendre.leggauss(_STEPS if has_numbers else 1)
        sides = [True, False] if ids else [True]  # the numbers move after the ids, and before them
        between = (nodes + 1) / 2, weights / 2 / len(sides)
        first = np.tri(ids + 1, ids, -1, bool)  # of each state: so many ids are changed
        jumps = (np.eye(ids + 1, ids, -1) - np.eye(ids + 1, ids)) / 2
        still, moving = np.zeros(ids + 1), np.zeros((len(nodes), ids))
        return cls(
            np.concatenate([still, *[between[0]] * len(sides), still + 1]).astype(np.float32),
            np.concatenate([still, *[between[1]] * len(sides), still]).astype(np.float32),
            np.concatenate([first, *(moving.astype(bool) | side for side in sides), first[:, ::-1]]),
            np.concatenate([jumps, *[moving] * len(sides), jumps[:, ::-1]]).astype(np.float32),
        )


def _beside(value: Any, other: Any) -> Any:
    """[n] with as many dimensions as another [n, ...] has."""
    return tf.reshape(value, [-1, *[1] * (len(other.shape) - 1)])


def _of_rows(value: Any) -> Any:
    return tf.reduce_sum(value, axis=list(range(1, len(value.shape))))


def _map(moved: Any, shape: tuple[int, int]) -> Any:
    """[N, ...] -> the size of each pixel's part, of the largest in the picture, [N, H, W]."""
    size = tf.reduce_sum(tf.abs(tf.reshape(moved, [tf.shape(moved)[0], *shape, -1])), axis=3)
    return tf.math.divide_no_nan(size, tf.reduce_max(size, axis=[1, 2], keepdims=True))
