from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from airflow_kubeflow import pipeline_file
from airflow_kubeflow.exceptions import KubeflowUserError
from tests.airflow_kubeflow.kubeflow_server import EXAMPLE


def test_text_of_templates_becomes_the_declared_type() -> None:
    given = {"span": "7", "rate": "1e-3", "deep": "True", "layers": "[32, 16]", "options": '{"a": null}', "note": "7"}
    typed = pipeline_file.read(EXAMPLE).checked(given)
    assert typed == {"span": 7, "rate": 0.001, "deep": True, "layers": [32, 16], "options": {"a": None}, "note": "7"}
    assert json.loads(json.dumps(typed)) == typed
    native = {"span": 7, "rate": 1, "deep": False, "layers": [], "options": {}, "note": ""}
    assert pipeline_file.read(EXAMPLE).checked(native) == native


@pytest.mark.parametrize(
    ("name", "value"),
    [("span", 1.5), ("span", "1.5"), ("span", True), ("span", None), ("rate", "fast"), ("rate", "true"), ("deep", 1),
     ("layers", "16"), ("layers", {"a": 1}), ("options", []), ("note", 7)],
)  # fmt: skip
def test_wrong_types(name: str, value: Any) -> None:
    with pytest.raises(KubeflowUserError, match=f"parameter '{name}'"):
        pipeline_file.read(EXAMPLE).checked({"span": 1, name: value})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no compiled pipeline"),
        ("[1, 2]", "no compiled pipeline"),
        ("{unclosed", "is no YAML"),
        ("apiVersion: argoproj.io/v1alpha1\nkind: Workflow", "a workflow of KFP v1"),
        ("pipelineInfo: {name: p}", "it has no 'root'"),
        ("pipelineInfo: {}\nroot: {}", "its pipelineInfo has no 'name'"),
        ("pipelineInfo: {name: p}\nroot: {}\n---\n[1]", "second document"),
    ],
)
def test_files_that_are_none(tmp_path: pathlib.Path, text: str, told: str) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    with pytest.raises(KubeflowUserError) as error:
        pipeline_file.read(file)
    assert told in str(error.value) and str(file) in str(error.value) and "\n" not in str(error.value)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(KubeflowUserError, match="not text"):
        pipeline_file.read(file)


def test_one_document_goes_without_a_frame(tmp_path: pathlib.Path) -> None:
    both = pipeline_file.read(EXAMPLE)
    assert set(both.body()) == {"pipeline_spec", "platform_spec"}
    alone = pipeline_file.from_documents("p", both.pipeline)
    assert alone.body()["pipelineInfo"] == {"name": "example"}
    assert pipeline_file.from_documents("p", both.body()) == pipeline_file.CompiledPipeline(
        "p", both.pipeline, both.platform
    )


def test_caching_of_nested_graphs() -> None:
    nested = {"dag": {"tasks": {"inner": {"cachingOptions": {"enableCache": True}}}}}
    root = {"dag": {"tasks": {"outer": {}}}}
    one = pipeline_file.from_documents(
        "p", {"pipelineInfo": {"name": "p"}, "root": root, "components": {"comp": nested}}
    )
    changed = one.with_caching(False).pipeline
    assert changed["components"]["comp"]["dag"]["tasks"]["inner"] == {"cachingOptions": {}}
    assert one.with_caching(True).pipeline["root"]["dag"]["tasks"]["outer"] == {"cachingOptions": {"enableCache": True}}
    assert nested["dag"]["tasks"]["inner"] == {"cachingOptions": {"enableCache": True}}, "the original stays"
