"""How long models take to answer, from raw columns to answers, as the model server has them in memory."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

import answering
from components.served_model import ServedModel

SIZES = (1, 64)
"""Rows of a request that are timed."""
_WARM = 3
_LEAST_ROUNDS, _MOST_ROUNDS, _BUDGET_S = 20, 200, 1.0


def latencies(models: Mapping[str, pathlib.Path], rows: pa.RecordBatch) -> dict[str, dict[int, float]]:
    """Seconds that a request takes, by model and its number of rows: the least of many rounds.

    In a round each model answers once, so that whatever else the machine does meets all of them alike; the least is what is left
    when it does nothing.

    Args:
        models: SavedModel folders, whose inputs are the same.
        rows: raw columns; repeated where they are too few.
    """
    loaded = {name: answering.answerer(folder, answering.SavedModel(folder).entry) for name, folder in models.items()}
    spec = ServedModel.read(next(iter(models.values())))
    found: dict[str, dict[int, float]] = {name: {} for name in models}
    for size in SIZES:
        inputs = spec.inputs(rows.take(pa.array(np.arange(size) % rows.num_rows)))
        named = {spec.input_name(column): value for column, value in inputs.items()}
        times = _rounds([*loaded.values()], named)
        for name, seconds in zip(loaded, times, strict=True):
            found[name][size] = seconds
    return found


def _rounds(models: Sequence[answering.Entry], inputs: Mapping[str, np.ndarray]) -> list[float]:
    for model in models:
        for _ in range(_WARM):
            model.call(inputs)
    least, rounds, ends = [float("inf")] * len(models), 0, time.monotonic() + _BUDGET_S * len(models)
    while rounds < _LEAST_ROUNDS or (rounds < _MOST_ROUNDS and time.monotonic() < ends):
        for place, model in enumerate(models):
            started = time.perf_counter()
            model.call(inputs)
            least[place] = min(least[place], time.perf_counter() - started)
        rounds += 1
    return least
