from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from tfx.dsl.components.base import base_executor
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_artifacts

from components.artifacts import DataQualityReport
from components.gates import CheckResult, GateResult
from components.pusher.driver import Driver
from components.pusher.executor import Executor, files_of, publication_key
from model_store import CARD_FILE, ModelStore, StoreError
from spec.errors import InputError

WORKLOAD = {"name": "taxi", "task": "binary"}
METRICS = {"task": "binary", "label": "y", "rows": 9, "overall": {"auc": 0.8}, "roc": {"fpr": [0]}, "champion": None}


@pytest.fixture
def inputs(
    tmp_path: pathlib.Path,
    model_folder: Callable[..., pathlib.Path],
    examples_artifact: Callable[..., Any],
    make_rows: Callable[..., pa.Table],
) -> dict[str, list[Any]]:
    """What the Pusher reads of a model that everybody blessed."""

    def made(kind: Any, name: str, files: dict[str, str], **properties: Any) -> list[Any]:
        one = kind()
        one.uri = str(tmp_path / name)
        pathlib.Path(one.uri).mkdir()
        for file, text in files.items():
            (pathlib.Path(one.uri) / file).write_text(text)
        for key, value in properties.items():
            (one.set_int_custom_property if isinstance(value, int) else one.set_string_custom_property)(key, value)
        return [one]

    shutil.copytree(model_folder(), tmp_path / "model")
    model = standard_artifacts.Model()
    model.uri, model.id = str(tmp_path / "model"), 11
    examples = examples_artifact(make_rows(30), span=5)
    examples.set_string_custom_property("spans", '[{"span": 5, "digest": "d3", "rows": 30}]')
    gate = {n: GateResult(n, (CheckResult("c", True),)).to_json() for n in ("Evaluation", "Infrastructure", "Quality")}
    return {
        "model": [model],
        "examples": [examples],
        "evaluation": made(
            standard_artifacts.ModelEvaluation,
            "evaluation",
            {"metrics.json": json.dumps(METRICS), "gate.json": gate["Evaluation"]},
        ),
        "model_blessing": made(standard_artifacts.ModelBlessing, "blessing", {}, blessed=1),
        "infra_blessing": made(
            standard_artifacts.InfraBlessing,
            "infra",
            {"gate.json": gate["Infrastructure"], "golden_requests.json": '{"instances": [{"hour": 1}]}'},
            blessed=1,
        ),
        "data_quality": made(DataQualityReport, "quality", {"gate.json": gate["Quality"]}),
        "champion": made(standard_artifacts.Model, "champion", {}, champion_version=2),
    }


@pytest.fixture
def push(tmp_path: pathlib.Path, output: Callable[..., Any]) -> Callable[..., Any]:
    """Runs the executor; returns the PushedModel."""
    context = base_executor.BaseExecutor.Context(
        pipeline_info=pipeline_pb2.PipelineInfo(id="taxi"), pipeline_run_id="run-1"
    )

    def go(
        inputs: dict[str, list[Any]], store: str = "", name: str = "taxi", card: dict[str, Any] | None = None
    ) -> Any:
        made = output(pushed_model=standard_artifacts.PushedModel)
        properties = {
            "store_uri": store or str(tmp_path / "store"),
            "model_name": name,
            "workload": json.dumps({**WORKLOAD, "card": card or {}}),
            "code_revision": "abc",
        }
        Executor(context).Do(inputs, made, properties)
        return made["pushed_model"][0]

    return go


def test_a_blessed_model_becomes_a_release(
    inputs: dict[str, list[Any]], push: Callable[..., Any], tmp_path: pathlib.Path
) -> None:
    pushed = push(inputs)
    assert pushed.get_int_custom_property("pushed") == 1
    assert pushed.get_string_custom_property("pushed_version") == "1"
    store = ModelStore(str(tmp_path / "store"))
    release = store.release("taxi", 1)
    assert store.verify("taxi", 1) == ()
    assert release.spans == [{"span": 5, "digest": "d3", "rows": 30}]
    assert (release.parent, release.run_id, release.pipeline, release.code_revision) == (2, "run-1", "taxi", "abc")
    assert [gate["gate"] for gate in release.gates] == ["Quality", "Evaluation", "Infrastructure"]
    assert release.metrics["overall"] == {"auc": 0.8} and "roc" not in release.metrics
    golden = pathlib.Path(pushed.get_string_custom_property("pushed_destination")) / "assets.extra/golden_requests.json"
    assert json.loads(golden.read_text()) == {"instances": [{"hour": 1}]} and not golden.is_symlink()
    assert json.loads((pathlib.Path(pushed.uri) / "release.json").read_text())["version"] == 1


def test_pushing_again_publishes_once(inputs: dict[str, list[Any]], push: Callable[..., Any]) -> None:
    first, second = push(inputs), push(inputs)
    assert second.get_string_custom_property("pushed_version") == first.get_string_custom_property("pushed_version")
    with (pathlib.Path(inputs["model"][0].uri) / "Format-Serving" / "assets.extra" / "note").open("w") as note:
        note.write("another model")
    assert push(inputs).get_string_custom_property("pushed_version") == "2"


def test_what_would_read_other_files_is_not_pushed(
    inputs: dict[str, list[Any]], push: Callable[..., Any], tmp_path: pathlib.Path
) -> None:
    saved_model = pathlib.Path(inputs["model"][0].uri) / "Format-Serving"
    (link := saved_model / "assets.extra" / "note").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match=r"assets\.extra/note is a link"):
        push(inputs)
    link.unlink()
    import tensorflow as tf

    read = tf.function(tf.io.read_file, input_signature=[tf.TensorSpec([], tf.string)])
    variant = tmp_path / "variants" / "int8"
    tf.saved_model.save(tf.Module(), str(variant), {"serving_default": read})
    inputs["variants"] = [standard_artifacts.Model()]
    inputs["variants"][0].uri = str(variant.parent)
    with pytest.raises(InputError, match=r"int8/saved_model\.pb: operation ReadFile"):
        push(inputs)
    assert not ModelStore(str(tmp_path / "store")).models()


def test_a_release_carries_its_card(
    inputs: dict[str, list[Any]], push: Callable[..., Any], tmp_path: pathlib.Path
) -> None:
    push(inputs)
    push(inputs, card={"intended_use": "", "limits": []})
    store = ModelStore(str(tmp_path / "store"))
    assert store.versions("taxi") == [1], "nothing was said of it"
    push(inputs, card={"intended_use": "To plan shifts.", "limits": []})
    card = json.loads(store.read(store.release("taxi", 2), CARD_FILE))
    assert card["intended_use"] == "To plan shifts." and card["data"]["spans"][0]["rows"] == 30
    assert [(one["metric"], one["value"]) for one in card["evaluation"]["metrics"]] == [("auc", 0.8)]
    (pathlib.Path(store.release("taxi", 2).uri) / CARD_FILE).write_text("{}")
    with pytest.raises(StoreError, match="not what was published"):
        store.read(store.release("taxi", 2), CARD_FILE)


def test_a_publication_is_named_by_model_and_data(inputs: dict[str, list[Any]], tmp_path: pathlib.Path) -> None:
    saved_model = pathlib.Path(inputs["model"][0].uri) / "Format-Serving"
    files = files_of(saved_model)
    (tmp_path / "variants" / "int8").mkdir(parents=True)
    (tmp_path / "variants" / "int8" / "saved_model.pb").write_bytes(b"small")
    one = publication_key("taxi", files, [{"span": 1}])
    assert one == publication_key("taxi", files, [{"span": 1}])
    others = [
        publication_key("taxi", files, [{"span": 2}]),
        publication_key("bus", files, [{"span": 1}]),
        publication_key("taxi", files_of(saved_model, tmp_path / "variants"), [{"span": 1}]),
    ]
    assert len({one, *others}) == 4


@pytest.mark.parametrize("who", ["model_blessing", "infra_blessing"])
def test_what_is_not_blessed_is_not_pushed(
    inputs: dict[str, list[Any]], push: Callable[..., Any], tmp_path: pathlib.Path, who: str
) -> None:
    inputs[who][0].set_int_custom_property("blessed", 0)
    inputs[who][0].set_string_custom_property("reason", "auc 0.5 is below 0.7")
    pushed = push(inputs)
    assert pushed.get_int_custom_property("pushed") == 0
    assert "auc 0.5 is below 0.7" in pushed.get_string_custom_property("reason")
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_be_written_is_the_user_s_to_mend(
    inputs: dict[str, list[Any]], push: Callable[..., Any], tmp_path: pathlib.Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        push(inputs, store=str(tmp_path / "file" / "store"))
    with pytest.raises(InputError, match="model name"):
        push(inputs, name="no such name!")


def test_the_cache_follows_the_store(
    inputs: dict[str, list[Any]], push: Callable[..., Any], tmp_path: pathlib.Path
) -> None:
    from ml_metadata.proto import metadata_store_pb2
    from tfx.orchestration import metadata
    from tfx.orchestration.portable import data_types

    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    store = tmp_path / "store"

    def gone() -> int:
        info = data_types.ExecutionInfo(
            input_dict=inputs, exec_properties={"store_uri": str(store), "model_name": "taxi", "releases_gone": 0}
        )
        output = Driver(metadata.Metadata(connection)).run(info)
        return int(output.exec_properties["releases_gone"].int_value)

    def push_and_record() -> None:
        pushed = push(inputs)
        with metadata.Metadata(connection) as handle:
            kind = metadata_store_pb2.ArtifactType(name="PushedModel")
            pushed.mlmd_artifact.type_id = handle.store.put_artifact_type(kind)
            handle.store.put_artifacts([pushed.mlmd_artifact])

    assert gone() == 0, "nothing was ever pushed"
    push_and_record()
    assert gone() == 0, "the cached push stands"
    shutil.rmtree(store / "taxi" / "1")
    assert gone() == 1, "it is published again"
    push_and_record()
    assert gone() == 1 and (store / "taxi" / "2").is_dir(), "and that push stands"
    inputs["model"][0].id = 12
    assert gone() == 0, "another model's releases do not matter"
