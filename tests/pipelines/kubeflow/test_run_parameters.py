"""Run parameters: what KFP passes as text reaches the graph typed and checked, or is refused."""

from __future__ import annotations

import json

import pytest

from pipelines.runners.kubeflow.run_parameters import bindings, of_training
from spec.errors import InputError
from spec.workload import Data, Label, Training, Workload

WORKLOAD = Workload(
    name="tips",
    task="binary",
    data=Data(label=Label(column="tipped")),
    training=Training(hyperparameters={"learning_rate": 0.1, "units": 8, "bias": True, "kind": "a"}),
)
TRAINING = json.dumps({"task": "binary", "label": "tipped", **WORKLOAD.training.model_dump()}, sort_keys=True)


def test_an_unchanged_run_has_the_properties_that_the_graph_has() -> None:
    given = {p.name: str(p.default).lower() if p.type is bool else str(p.default) for p in of_training(WORKLOAD)}
    bound = bindings({"training": TRAINING, "workload": WORKLOAD.model_dump_json()}, given)
    assert bound == {"training": TRAINING, "workload": WORKLOAD.model_dump_json()}


def test_values_arrive_with_their_types() -> None:
    given = {"epochs": "3", "learning_rate": "1", "units": "16", "bias": "false", "kind": "7", "span": "2"}
    bound = bindings({"training": TRAINING, "span": -1}, given)
    training = json.loads(str(bound["training"]))
    assert (training["epochs"], bound["span"]) == (3, 2)
    assert training["hyperparameters"] == {"learning_rate": 1.0, "units": 16, "bias": False, "kind": "7"}
    assert isinstance(training["hyperparameters"]["learning_rate"], float)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"epochs": "3.5"}, "parameter epochs: a whole number. Received: '3.5'"),
        ({"epochs": "0"}, "parameter epochs: Input should be greater than or equal to 1. Received: 0"),
        ({"units": "many"}, "parameter units: a whole number"),
        ({"bias": "yes"}, "parameter bias: true or false"),
        ({"span": "-2"}, "parameter span"),
    ],
)
def test_values_of_the_wrong_type(given: dict[str, str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        bindings({"training": TRAINING, "span": -1}, given)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["epochs", "learning-rate", "class", "model_card"])
def test_a_hyperparameter_that_kfp_cannot_name(name: str) -> None:
    workload = WORKLOAD.model_copy(update={"training": Training(hyperparameters={name: 1})})
    with pytest.raises(InputError, match="Rename it"):
        of_training(workload)
