"""`training.search`: a space that cannot be searched is refused when workload.yaml is read, in one line."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest

from spec.workload import Training, Workload

OWN = {"units": 64, "dropout": 0.2, "optimizer": "adam", "momentum": 0.9}
UNITS = {"type": "int", "low": 8, "high": 64, "step": 8}
OPTIMIZER = {"type": "categorical", "choices": ["adam", "sgd"]}


def training(**space: Any) -> Training:
    return Training.model_validate({"hyperparameters": OWN, "search": {"space": space}})


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"units": {"type": "int", "low": 64, "high": 8}}, "low must be below high. Received: low 64, high 8"),
        (
            {"dropout": {"type": "float", "low": 0, "high": 1, "log": True}},
            "log: true needs a low above 0. Received: 0",
        ),
        ({"dropout": {"type": "float", "low": 0.1}}, "type float needs low and high"),
        ({"units": {"type": "int", "low": 8, "high": 64, "step": 0.5}}, "whole numbers. Received: 0.5"),
        ({"units": {"type": "int", "low": 8, "high": 64, "step": 2, "log": True}}, "step and log exclude each other"),
        ({"units": {"type": "int", "low": 8, "high": 9, "step": 2}}, "nothing but low is tried"),
        ({"optimizer": {"type": "categorical", "choices": ["adam", "adam"]}}, "two different choices"),
        ({"optimizer": {**OPTIMIZER, "low": 1}}, "has choices and no low"),
        ({"units": {"type": "float", "low": 8, "high": 64}}, "units is 64 in workload.yaml, so its type is int or"),
        ({"dropout": OPTIMIZER}, "dropout is a number. Received: the choice 'adam'"),
        ({"unit": UNITS}, "there is no hyper-parameter 'unit'"),
        ({"epochs": UNITS}, "there is no hyper-parameter 'epochs'"),
        ({"batch_size": {"type": "int", "low": 0, "high": 8}}, "batch_size: .*greater than or equal to 1. Received: 0"),
        ({"learning_rate": {"type": "float", "low": 0, "high": 1}}, "learning_rate must be above 0"),
        ({"units": {**UNITS, "when": {"optimizer": "sgd"}}}, "space.units.when: optimizer is not searched"),
        ({"units": {**UNITS, "when": {"optimizer": "lion"}}, "optimizer": OPTIMIZER}, "optimizer is never 'lion'"),
        (
            {"dropout": {"type": "float", "low": 0, "high": 1, "when": {"units": 12}}, "units": UNITS},
            "units is never 12",
        ),
        (
            {"units": {**UNITS, "when": {"optimizer": "sgd"}}, "optimizer": {**OPTIMIZER, "when": {"units": 8}}},
            "conditions in a circle: .*units -> optimizer|conditions in a circle: .*optimizer -> units",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused(space: dict[str, Any], said: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=said) as refused:
        training(**space)
    assert refused.value.error_count() == 1


def test_values_go_where_workload_yaml_has_them() -> None:
    """Hyper-parameters are told from fields, and what the winner does without keeps its value."""
    made = training(
        batch_size={"type": "categorical", "choices": [32, 64]},
        weight_decay={"type": "float", "low": 0.0, "high": 0.1},
        learning_rate={"type": "float", "low": 0.001, "high": 0.1, "log": True},
        optimizer=OPTIMIZER,
        momentum={"type": "float", "low": 0.0, "high": 0.99, "when": {"optimizer": "sgd"}},
    )
    assert made.search and [*made.search.ordered].index("optimizer") < [*made.search.ordered].index("momentum")
    found = made.with_values({"batch_size": 32, "weight_decay": 0.05, "learning_rate": 0.01, "optimizer": "adam"})
    assert (found.batch_size, found.weight_decay) == (32, 0.05)
    assert found.hyperparameters == {**OWN, "learning_rate": 0.01}
    # The cache's key of a search: the winner's values, written into workload.yaml, are to search nothing anew.
    assert found.without_searched() == made.without_searched()
    assert found.model_copy(update={"epochs": 3}).without_searched() != made.without_searched()


@pytest.mark.parametrize(
    ("task", "chosen", "metric"),
    [
        ("binary", None, "auc"),
        ("binary", "loss", "loss"),
        ("multilabel", None, "auc"),
        ("reconstruction", None, "loss"),
    ],
)
def test_trials_are_compared_by_what_training_shows(task: str, chosen: str | None, metric: str) -> None:
    space = {"learning_rate": {"type": "float", "low": 0.001, "high": 0.1}}
    raw: dict[str, Any] = {
        "name": "a",
        "task": task,
        "data": {"label": {"column": "y"}},
        "training": {"search": {"space": space}},
    }
    raw["training"]["search"]["metric"] = chosen
    assert Workload.model_validate(raw).search_metric.name == metric
    raw["training"]["search"]["metric"] = "ndcg_10"
    with pytest.raises(pydantic.ValidationError, match=r"training.search.metric: training shows .*loss of task"):
        Workload.model_validate(raw)
