"""A run's parameters: what a person may change in KFP's UI without compiling again, and how it reaches TFX.

In the IR they are TFX runtime parameters. The compiler marks some execution properties as such, with what the graph says as
their default: the span, the `training` of Trainer, Tuner and Variants, the `workload` of Pusher and Report. The node fills
them in: the span as it is, the others by merging the run's epochs, batch size and hyper-parameters into that default. So a
run without changes has the same properties, and so the same cache keys, as one of the local runner.
"""

from __future__ import annotations

import dataclasses
import json
import keyword
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic

from components.transform.record import RECORD as TRANSFORM
from pipelines import parameters
from spec import graph
from spec.errors import InputError
from spec.workload import LEARNING_RATE, Training, Workload

SPAN = "span"
FORCE_RETRAIN = "force_retrain"
TRAINING = "training"
WORKLOAD = "workload"
_FIELDS = parameters.TRAINING_FIELDS
# Outputs too: a KFP component's inputs and outputs share one namespace. From Transform on, nodes may share a task with one that
# takes these parameters.
_FROM = [record.id for record in graph.records()].index(TRANSFORM.id)
_RESERVED = frozenset({SPAN, FORCE_RETRAIN, "image", "run_id", *_FIELDS}) | {
    output for record in graph.records()[_FROM:] for output in record.shows
}

Value = bool | int | float | str


@dataclasses.dataclass(frozen=True)
class RunParameter:
    """One of a run's parameters.

    Attributes:
        type: bool, int, float or str.
    """

    name: str
    type: type
    default: Value
    description: str


def of_training(workload: Workload) -> list[RunParameter]:
    """Epochs, batch size, seed and the hyper-parameters; the workload's values are the defaults.

    Raises:
        InputError: a hyper-parameter's name cannot be a parameter of KFP.
    """
    training = workload.training
    found = [
        RunParameter(name, int, getattr(training, name), (Training.model_fields[name].description or "").split("\n")[0])
        for name in _FIELDS
    ]
    for name, value in sorted(training.hyperparameters.items()):
        if name in _RESERVED or not name.isidentifier() or keyword.iskeyword(name):
            why = "is the name of another parameter or an output" if name in _RESERVED else "is no name that KFP takes"
            raise InputError(f"workload.yaml, field training.hyperparameters: {name!r} {why} on Kubeflow. Rename it.")
        found.append(RunParameter(name, type(value), value, "Hyper-parameter of build_model."))
    return found


def of_run(workload: Workload, span: int = -1) -> list[RunParameter]:
    """All of a run's parameters; `span` is the default of the one of that name."""
    newest = "The newest span to train on; -1: the newest there is when the run starts."
    force = "Train even if the cache has a model for this data and these settings."
    settings = [RunParameter(SPAN, int, span, newest), RunParameter(FORCE_RETRAIN, bool, False, force)]
    return settings + of_training(workload)


def chosen(workload: Workload, texts: Sequence[str]) -> tuple[dict[str, Value], list[str]]:
    """Splits `trainyard submit --param` into a run's parameters and the rest, which is compiled into the file.

    Args:
        texts: `key=value` each. A key is a run parameter (`epochs`, `learning_rate`, `force_retrain`), or a field of
            workload.yaml by its path: `training.epochs` is the run parameter, `data.window` is compiled in.

    Returns:
        Run parameters with their types, checked as workload.yaml is, and the `key=value` that are none.

    Raises:
        InputError: no such parameter, the wrong type, or out of range. Nothing has been sent.
    """
    kinds = {one.name: one.type for one in of_run(workload)}
    given: dict[str, str] = {}
    compiled_in = []
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise InputError(f"--param {text!r}: expected key=value, e.g. epochs=3.")
        section, _, name = key.rpartition(".")
        if section in ("", "training", "training.hyperparameters") and name in kinds:
            given[name] = value
        elif section in ("", "training.hyperparameters") and name == LEARNING_RATE:
            compiled_in.append(text)
        elif section in ("", "training.hyperparameters"):
            raise InputError(_unknown(key, kinds))
        else:
            compiled_in.append(text)
    bindings({SPAN: -1, TRAINING: json.dumps(workload.training.model_dump(mode="json"))}, given)
    return {name: convert(name, value, kinds[name]) for name, value in given.items()}, compiled_in


def _unknown(key: str, kinds: Mapping[str, type]) -> str:
    meant = parameters.near(key.rpartition(".")[2], kinds)
    return f"parameter {key}: this workload's runs have none of that name.{meant} Known: {', '.join(kinds)}."


def bindings(defaults: Mapping[str, Value], given: Mapping[str, str]) -> dict[str, Value]:
    """Values for a node's runtime parameters.

    Args:
        defaults: runtime parameter -> its default, as the node's IR has it.
        given: what the run says, as text.

    Raises:
        InputError: a value of the wrong type, or out of range.

    Example:
        >>> bindings({"span": -1}, {"span": "3"})
        {'span': 3}
    """
    bound: dict[str, Value] = {}
    if SPAN in defaults and SPAN in given:
        span = convert(SPAN, given[SPAN], int)
        if int(span) < -1:
            raise InputError(f"parameter span: a whole number from 0 on, or -1 for the newest. Received: {span}")
        bound[SPAN] = span
    if TRAINING in defaults:
        bound[TRAINING] = json.dumps(_merged(json.loads(str(defaults[TRAINING])), given), sort_keys=True)
    if WORKLOAD in defaults:
        workload = json.loads(str(defaults[WORKLOAD]))
        workload["training"] = _merged(workload["training"], given)
        bound[WORKLOAD] = Workload.model_validate(workload).model_dump_json()
    return bound


def convert(name: str, text: str, wanted: type) -> Value:
    """A parameter's text as its type.

    Raises:
        InputError: it is something else.
    """
    if wanted is str:
        return text
    if wanted is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise InputError(f"parameter {name}: true or false. Received: {text!r}")
    try:
        value: float = wanted(text)
        if not math.isfinite(value):  # JSON cannot express it
            raise ValueError(text)
    except ValueError:
        what = "a whole number" if wanted is int else "a number"
        raise InputError(f"parameter {name}: {what}. Received: {text!r}") from None
    return value


def _merged(training: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The training section with a run's values in it, checked as workload.yaml is."""
    merged = {**training, "hyperparameters": dict(training["hyperparameters"])}
    for name, text in given.items():
        if name in _FIELDS:
            merged[name] = convert(name, text, int)
        elif name in merged["hyperparameters"]:
            merged["hyperparameters"][name] = convert(name, text, type(merged["hyperparameters"][name]))
    try:
        Training.model_validate({name: merged[name] for name in Training.model_fields if name in merged})
    except pydantic.ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise InputError(f"parameter {field}: {problem['msg']}. Received: {problem['input']!r}") from None
    return merged
