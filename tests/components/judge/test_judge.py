from __future__ import annotations

import json
import pathlib
from types import SimpleNamespace
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.judge.component import node
from components.judge.executor import Executor
from components.release_importer.driver import Driver
from model_store import ModelStore, ReleaseDraft
from spec.errors import InputError


def resolved(store: pathlib.Path, release: str) -> Any:
    properties = {"store_uri": str(store), "model_name": "mnist", "release": release, "field": "evaluation.judge"}
    return Driver.properties(object.__new__(Driver), SimpleNamespace(exec_properties=properties))  # type: ignore[arg-type]


def test_a_label_that_moved_is_another_judge(tmp_path: pathlib.Path) -> None:
    store, model = ModelStore(tmp_path / "store"), tmp_path / "model"
    model.mkdir()
    found = []
    for version in (1, 2):
        (model / "saved_model.pb").write_bytes(b"%d" % version)
        store.publish("mnist", model, ReleaseDraft(publication_key=str(version), task="multiclass"))
        store.promote("mnist", version, reason="test", actor="test")
        found.append(resolved(tmp_path / "store", "stable")["resolved"])
    assert [one.partition(":")[0] for one in found] == ["1", "2"] and len(set(found)) == 2
    assert resolved(tmp_path / "store", "1")["resolved"] == found[0]


def test_a_judge_that_is_not_there_is_said_with_what_to_do(tmp_path: pathlib.Path) -> None:
    with pytest.raises(
        InputError, match=r"evaluation.judge: .*no model 'mnist'.*`trainyard run mnist`.*another release\."
    ):
        resolved(tmp_path / "store", "stable")


def test_a_release_that_cannot_judge_is_refused_before_anything_is_trained(tmp_path: pathlib.Path) -> None:
    store, model, taken = ModelStore(tmp_path / "store"), tmp_path / "model", tmp_path / "taken"
    (model / "assets.extra").mkdir(parents=True)
    (model / "saved_model.pb").write_bytes(b"not opened")
    said = {
        "task": "multiclass",
        "label": "y",
        "classes": ["0", "1"],
        "features": {"pixels": {"dtype": "float32", "shape": [64]}},
    }
    (model / "assets.extra" / "trainyard.json").write_text(json.dumps(said))
    store.publish("digits", model, ReleaseDraft(publication_key="1", task="multiclass"))
    artifact = standard_artifacts.Model()
    artifact.uri = str(taken)
    properties = {
        "store_uri": store.uri,
        "model_name": "digits",
        "release": "1",
        "resolved": "1:0",
        "task": "generation",
        "field": "evaluation.judge",
    }
    with pytest.raises(
        InputError, match=r"evaluation.judge: digits@1 takes pixels \(float32\[64\]\); .* as bytes. Name another."
    ):
        Executor().Do({}, {"model": [artifact]}, properties)
    artifact.uri = str(tmp_path / "taken by another")
    Executor().Do({}, {"model": [artifact]}, {**properties, "task": "multiclass"})


@pytest.mark.parametrize(("judge", "release"), [("mnist@stable", "stable"), ("mnist@3", "3"), (None, None)])
def test_the_node_is_there_where_a_judge_is_named(judge: str | None, release: str | None) -> None:
    graph = SimpleNamespace(
        workload=SimpleNamespace(evaluation=SimpleNamespace(judge=judge), task="generation"),
        site=SimpleNamespace(store_uri="models"),
    )
    made = node(graph)  # type: ignore[arg-type]
    assert (made and made.exec_properties["release"]) == release
