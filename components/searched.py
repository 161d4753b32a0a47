"""What a search for hyper-parameters leaves: the Tuner writes it, the Trainer, the report and `trainyard tune` read it."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from spec.errors import InputError
from spec.workload import Value

VALUES_FILE = "best_hyperparameters.txt"
"""As TFX's own Tuner names it: JSON of a `keras_tuner.HyperParameters`, of which `values` counts."""
RECORD_FILE = "search.json"
JOURNAL_FILE = "study.journal"
"""Optuna's, of all trials."""


@dataclasses.dataclass(frozen=True)
class Searched:
    """The outcome of a search.

    Attributes:
        values: of the winner, by name; a hyper-parameter that it does without is missing.
        record: search.json (docs/guides/search.md); empty where another tuner than ours wrote the values.
    """

    values: Mapping[str, Value]
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def write(self, folder: str | os.PathLike[str]) -> None:
        place = pathlib.Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / VALUES_FILE).write_text(json.dumps({"space": [], "values": dict(self.values)}), encoding="utf-8")
        (place / RECORD_FILE).write_text(json.dumps(self.record, indent=2), encoding="utf-8")

    def summary(self) -> dict[str, Any]:
        """What was searched and what won, without the trials: for history.json and a release."""
        told = ("metric", "value", "trial", "counts", "epochs", "seconds", "sampler", "pruner")
        return {"values": dict(self.values), **{name: self.record[name] for name in told if name in self.record}}


def best_first(trials: Iterable[Mapping[str, Any]], lower_is_better: bool) -> list[Mapping[str, Any]]:
    """The trials of a record that have a value, the best first; those that were pruned after those that came to their end."""
    sign = 1 if lower_is_better else -1
    told = [one for one in trials if one["value"] is not None]
    return sorted(told, key=lambda one: (one["state"] != "complete", sign * one["value"], one["number"]))


def values_in_words(values: Mapping[str, Value]) -> str:
    """`learning_rate 0.003, filters 16`."""
    return ", ".join(f"{name} {value_in_words(value)}" for name, value in values.items())


def value_in_words(value: Value) -> str:
    """A hyper-parameter's value, in four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read(folder: str | os.PathLike[str]) -> Searched:
    """The outcome in an artifact's folder.

    Raises:
        InputError: it holds no hyper-parameters.
    """
    values, record = pathlib.Path(folder, VALUES_FILE), pathlib.Path(folder, RECORD_FILE)
    try:
        found = json.loads(values.read_text(encoding="utf-8"))["values"]
        return Searched(found, json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{values}: holds no hyper-parameters ({error}). Run the Tuner again.") from None
