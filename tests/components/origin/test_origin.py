from __future__ import annotations

import json
import pathlib
from types import SimpleNamespace
from typing import Any

import pytest
from tfx.types import Channel, standard_artifacts

from components.origin.component import node
from components.origin.executor import Executor
from components.teacher import component as teacher
from components.teacher.executor import Executor as TeacherExecutor
from components.trainer.component import node as trainer
from model_store import ModelStore, ReleaseDraft
from spec.errors import InputError
from spec.workload import Workload

SPEC = {"task": "binary", "label": "y", "classes": ["no", "yes"], "features": {}}


def graph(tmp_path: pathlib.Path, **training: Any) -> Any:
    workload = Workload.model_validate(
        {"name": "tips", "task": "binary", "data": {"label": {"column": "y"}}, "training": training}
    )
    (tmp_path / "model.py").write_text("")
    kinds = {"transformed_examples": "Examples", "examples": "Examples", "transform_graph": "TransformGraph"}
    kinds |= {"schema": "Schema", "champion": "Model"}
    made = {name: Channel(type=getattr(standard_artifacts, kind)) for name, kind in kinds.items()}
    return SimpleNamespace(
        workload=workload, outputs=made, site=SimpleNamespace(store_uri="models", workload_folder=tmp_path)
    )


def test_a_release_that_training_begins_with_is_an_input_of_the_trainer(tmp_path: pathlib.Path) -> None:
    named = graph(tmp_path, start_from="big@stable", teacher="big@2")
    origin, taught = node(named), teacher.node(named)
    assert (
        origin
        and taught
        and (origin.exec_properties["field"], taught.exec_properties["release"])
        == (
            "training.start_from",
            "2",
        )
    )
    named.outputs |= {"origin": origin.outputs["model"], "teacher": taught.outputs["model"]}
    inputs = trainer(named).inputs  # and so version and digest are in its cache's key
    assert inputs["origin"] is named.outputs["origin"] and inputs["teacher"] is named.outputs["teacher"]
    assert inputs["examples"] is named.outputs["examples"]
    assert named.workload.releases_used == ("big@stable", "big@2")


def test_the_champion_is_brought_by_the_node_that_brings_it_anyway(tmp_path: pathlib.Path) -> None:
    own = graph(tmp_path, start_from="champion")
    assert node(own) is None and trainer(own).inputs["origin"] is own.outputs["champion"]
    plain = graph(tmp_path)
    assert node(plain) is None and teacher.node(plain) is None
    assert not {"origin", "teacher", "examples"} & set(trainer(plain).inputs)


@pytest.mark.parametrize(
    ("executor", "task", "message"),
    [
        (Executor, "binary", r"f: big@1 was made by an earlier Trainyard, .* Name another\."),
        (TeacherExecutor, "multiclass", "f: big@1 is of task binary; a teacher has its student's, multiclass"),
    ],
)
def test_a_release_that_is_not_fit_is_refused_before_the_data_is_read(
    tmp_path: pathlib.Path, executor: Any, task: str, message: str
) -> None:
    model = tmp_path / "model"
    (model / "assets.extra").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"not opened")
    (model / "assets.extra" / "trainyard.json").write_text(json.dumps(SPEC))
    store = ModelStore(tmp_path / "store")
    store.publish("big", model, ReleaseDraft(publication_key="1", task="binary"))
    artifact = standard_artifacts.Model()
    artifact.uri = str(tmp_path / "taken")
    said = {"store_uri": store.uri, "model_name": "big", "release": "1", "resolved": "1:0", "field": "f", "task": task}
    with pytest.raises(InputError, match=message):
        executor().Do({}, {"model": [artifact]}, said)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"start_from": "big"}, "start_from"),
        ({"learning_rates": {"conv": 0}}, r"factors above 0.*conv: 0"),
        ({"teacher": "big@1", "privacy": {"max_epsilon": 3, "noise": 1}}, "privacy: what a release learnt"),
        ({"teacher": {"release": "big@1", "temperature": 0.5}}, "temperature"),
    ],
)
def test_settings_that_cannot_be_meant(tmp_path: pathlib.Path, training: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        graph(tmp_path, **training)
