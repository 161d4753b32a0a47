from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tfx.types import standard_artifacts

from components.champion.artifact import champion_version
from components.champion.component import ChampionResolver
from components.champion.executor import Executor
from model_store import ModelStore, ReleaseDraft, StoreError
from spec.errors import InputError


@pytest.fixture
def store(tmp_path: pathlib.Path) -> ModelStore:
    return ModelStore(str(tmp_path / "store"))


@pytest.fixture
def publish(store: ModelStore, tmp_path: pathlib.Path) -> Callable[[str], int]:
    def go(content: str) -> int:
        folder = tmp_path / content
        (folder / "variables").mkdir(parents=True)
        (folder / "saved_model.pb").write_text(content)
        (folder / "variables" / "release.json").write_text("a variable of that name")
        return store.publish("taxi", folder, ReleaseDraft(publication_key=content, task="binary")).version

    return go


def promote(store: ModelStore, version: int) -> None:
    store.promote("taxi", version, reason="test", actor="test")


@pytest.fixture
def resolve(store: ModelStore, output: Callable[..., Any]) -> Callable[[], Any]:
    def go() -> Any:
        made = output(champion=standard_artifacts.Model)
        Executor().Do({}, made, {"store_uri": str(store.uri), "model_name": "taxi", "stable_release": ""})
        return made["champion"][0]

    return go


def test_no_stable_release(resolve: Callable[[], Any], publish: Callable[[str], int]) -> None:
    champion = resolve()
    assert champion_version(champion) == 0 and list(pathlib.Path(champion.uri).iterdir()) == []
    publish("one")
    assert champion_version(resolve()) == 0, "published is not yet stable"


def test_the_stable_release_is_copied(
    resolve: Callable[[], Any], publish: Callable[[str], int], store: ModelStore
) -> None:
    publish("one")
    promote(store, publish("two"))
    champion = resolve()
    folder = pathlib.Path(champion.uri)
    assert champion_version(champion) == 2
    assert (folder / "Format-Serving" / "saved_model.pb").read_text() == "two"
    assert (folder / "Format-Serving" / "variables" / "release.json").is_file()
    assert not (folder / "Format-Serving" / "release.json").exists()
    assert json.loads((folder / "release.json").read_text())["version"] == 2


def test_a_damaged_champion_is_told(
    resolve: Callable[[], Any], publish: Callable[[str], int], store: ModelStore
) -> None:
    promote(store, publish("one"))
    path = pathlib.Path(store.release("taxi", 1).uri) / "saved_model.pb"
    path.write_text("two")
    with pytest.raises(InputError, match=r"saved_model\.pb.*release rollback taxi"):
        resolve()
    shutil.rmtree(path.parent)
    with pytest.raises(InputError, match="taxi"):
        resolve()


@pytest.fixture
def launch(store: ModelStore, tmp_path: pathlib.Path) -> Iterator[Callable[..., dict[str, Any]]]:
    """Runs a pipeline by TFX's own launcher; returns artifacts and whether they were cached, by node."""
    from tfx.dsl.compiler import compiler, constants
    from tfx.orchestration import metadata, pipeline
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.portable import launcher, runtime_parameter_utils

    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    runs = 0

    def go(make_nodes: Callable[[], list[Any]]) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        nodes = make_nodes()
        ir = compiler.Compiler().compile(
            pipeline.Pipeline(
                "taxi",
                str(tmp_path / "root"),
                components=nodes,
                enable_cache=True,
                metadata_connection_config=connection,
            )
        )
        runtime_parameter_utils.substitute_runtime_parameter(
            ir, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: f"run-{runs}"}
        )
        deployment = runner_utils.extract_local_deployment_config(ir)
        found = {}
        for node in ir.nodes:
            node_id = node.pipeline_node.node_info.id
            info = launcher.Launcher(
                pipeline_node=node.pipeline_node,
                mlmd_connection=metadata.Metadata(connection),
                pipeline_info=ir.pipeline_info,
                pipeline_runtime_spec=ir.runtime_spec,
                executor_spec=runner_utils.extract_executor_spec(deployment, node_id),
                custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node_id),
            ).launch()
            with metadata.Metadata(connection) as handle:
                (execution,) = handle.store.get_executions_by_id([info.execution_id])
                events = handle.store.get_events_by_execution_ids([info.execution_id])
                ids = [event.artifact_id for event in events if event.type in (4, 7)]
                (artifact,) = handle.store.get_artifacts_by_id(ids[-1:])
            cached = execution.last_known_state == execution.CACHED
            found[node_id] = (cached, artifact)
        return found

    yield go


def test_the_cache_follows_the_champion(
    launch: Callable[..., dict[str, Any]], store: ModelStore, publish: Callable[[str], int]
) -> None:
    def nodes() -> list[Any]:
        return [ChampionResolver(store_uri=str(store.uri), model_name="taxi")]

    def run() -> tuple[bool, int]:
        cached, artifact = launch(nodes)["ChampionResolver"]
        return cached, artifact.custom_properties["champion_version"].int_value

    assert run() == (False, 0)
    assert run() == (True, 0)
    promote(store, publish("one"))
    assert run() == (False, 1)
    assert run() == (True, 1)
    promote(store, publish("two"))
    assert run() == (False, 2)
    store.rollback("taxi", reason="test", actor="test")
    assert run() == (True, 1)


def test_the_driver_names_a_lost_release(
    launch: Callable[..., dict[str, Any]], store: ModelStore, publish: Callable[[str], int]
) -> None:
    promote(store, publish("one"))
    shutil.rmtree(store.release("taxi", 1).uri)
    with pytest.raises((InputError, StoreError), match="taxi"):
        launch(lambda: [ChampionResolver(store_uri=str(store.uri), model_name="taxi")])
