"""A trial's values, as Optuna is asked for them."""

from __future__ import annotations

import optuna

from spec.workload import Dimension, Search, Value


def suggest(trial: optuna.Trial, search: Search) -> dict[str, Value]:
    """The values of a trial, by name; what has a condition that does not hold has none."""
    values: dict[str, Value] = {}
    for name, dimension in search.ordered.items():
        if all(values.get(other) == value for other, value in dimension.when.items()):
            values[name] = _suggest(trial, name, dimension)
    return values


def _suggest(trial: optuna.Trial, name: str, one: Dimension) -> Value:
    if one.type == "categorical":
        chosen: Value = trial.suggest_categorical(name, one.choices)
        return chosen
    assert one.low is not None and one.high is not None
    if one.type == "int":
        return trial.suggest_int(name, int(one.low), int(one.high), step=int(one.step or 1), log=one.log)
    return trial.suggest_float(name, one.low, one.high, step=one.step, log=one.log)
