"""The whole graph from the compiled file, a process a node, against `trainyard run` on the same data and seed."""

from __future__ import annotations

import json
import pathlib
import time
from typing import Any

import ml_metadata
import pytest
from kfp import dsl
from ml_metadata.proto import metadata_store_pb2 as mlmd

from model_store import ModelStore
from pipelines import home
from pipelines.run import Display, RunRequest, run
from tests.pipelines.kubeflow.cluster import Cluster, make_cluster

pytestmark = pytest.mark.slow
NODES = 13


@pytest.fixture(scope="module")
def local(yard):
    """The local runner's run, its metadata store and its release."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        result = run(RunRequest("tips", 1), Display())
    assert result.status == "succeeded", result.error
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(home.pipeline_root("tips") / "metadata.sqlite")
    return result, ml_metadata.MetadataStore(config), release(home.store_uri())


@pytest.fixture
def cluster(yard, s3: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, request) -> Cluster:
    monkeypatch.setenv("TRAINYARD_CODE_REVISION", "")
    metadata = request.getfixturevalue(request.param).environment if request.param else None
    return make_cluster(yard, f"{s3}/{request.param or 'sqlite'}", tmp_path, metadata)


def release(store_uri: str) -> dict[str, Any]:
    """What a release says of itself, without what differs from run to run: times, places, and the bytes' digests."""
    found = ModelStore(store_uri).release("tips", 1).as_dict()
    assert found["version"] == 1 and found["files"]
    names = sorted(found["files"])
    kept = {key: found[key] for key in ("gates", "metrics") if key in found}
    return {"files": names, **kept, "data": found.get("data"), "code_revision": found.get("code_revision")}


def lineage(store: Any, run_id: str) -> dict[str, Any]:
    """Node -> its state, what it read of whom, what it made, and the training settings."""
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    executions = store.get_executions_by_context(context.id)
    node_of = {}
    for execution in executions:
        (node,) = [c.name for c in store.get_contexts_by_execution(execution.id) if c.type == "node"]
        node_of[execution.id] = node
    kinds = {t.id: t.name for t in store.get_artifact_types()}
    made_by = {}
    for event in store.get_events_by_execution_ids([e.id for e in executions]):
        if event.type == mlmd.Event.OUTPUT:
            made_by[event.artifact_id] = f"{node_of[event.execution_id]}.{event.path.steps[0].key}"
    found = {}
    for execution in executions:
        events = store.get_events_by_execution_ids([execution.id])
        artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
        found[node_of[execution.id]] = {
            "state": execution.last_known_state,
            "reads": sorted(
                (e.path.steps[0].key, made_by[e.artifact_id]) for e in events if e.type == mlmd.Event.INPUT
            ),
            "makes": sorted(
                (
                    e.path.steps[0].key,
                    kinds[artifacts[e.artifact_id].type_id],
                    artifacts[e.artifact_id].custom_properties["rows_out"].int_value,
                )
                for e in events
                if e.type == mlmd.Event.OUTPUT
            ),
            "training": execution.custom_properties["training"].string_value,
            "span": execution.custom_properties["span"].int_value,
        }
    return found


@pytest.mark.parametrize("cluster", [None, "postgres"], indirect=True, ids=["sqlite", "postgresql"])
def test_release_metrics_and_lineage_are_the_local_runners(cluster: Cluster, local, request) -> None:
    result, local_store, local_release = local
    postgres = request.getfixturevalue("postgres") if "POSTGRES" in str(cluster.environment).upper() else None
    attempts = cluster.double.run("run-1", only=before_trainer(cluster))
    attempts.append(run_trainer(cluster, postgres))
    attempts += cluster.double.run("run-1", only=after_trainer(cluster))
    assert [a.code for a in attempts] == [0] * NODES, attempts[-1].output

    (evaluation,) = cluster.artifacts("ModelEvaluation")
    assert cluster.json(f"{evaluation.uri}/metrics.json")["overall"] == result.metrics
    assert release(f"{cluster.bucket}/models") == local_release
    here, there = lineage(cluster.metadata, "run-1"), lineage(local_store, result.run_id)
    assert here.keys() == there.keys() and here == there
    assert "/stage-" not in "".join(a.uri for a in cluster.metadata.get_artifacts())
    check_what_kfps_ui_shows(cluster, "run-1")
    (report,) = cluster.artifacts("RunReport")
    page = cluster.store.cat_file(f"{report.uri}/index.html").decode()
    assert "/stage-" not in page and f"{cluster.bucket}/pipelines/tips/DataQuality" in page


@pytest.mark.parametrize("cluster", ["postgres"], indirect=True, ids=["postgresql"])
def test_again_from_the_cache_and_trained_again_when_forced(cluster: Cluster) -> None:
    """Goes on where the test before left PostgreSQL and the bucket."""
    again = cluster.double.run("run-2")
    assert [a.code for a in again] == [0] * NODES, again[-1].output
    assert all("from the cache" in a.output for a in again)
    check_what_kfps_ui_shows(cluster, "run-2")
    forced = cluster.double.run("run-3", force_retrain=True)
    assert [a.code for a in forced] == [0] * NODES, forced[-1].output
    outcomes = {a.task: "from the cache" in a.output for a in forced}
    assert not outcomes["trainer"] and not outcomes["evaluator"]
    assert outcomes["transform"] and outcomes["columnar-example-gen"]
    changed = cluster.double.run("run-4", only=[*before_trainer(cluster), "trainer"], epochs=2)
    assert "from the cache" not in changed[-1].output and changed[-1].code == 0
    settings = lineage(cluster.metadata, "run-4")["tips.Trainer"]["training"]
    assert json.loads(settings)["epochs"] == 2


def check_what_kfps_ui_shows(cluster: Cluster, run_id: str) -> None:
    """Every task's outputs, against the artifacts in the bucket that they tell of."""
    shown = {name: one for task in cluster.double.order() for name, one in cluster.double.shown(task, run_id).items()}
    (evaluation,) = cluster.artifacts("ModelEvaluation")
    metrics = cluster.json(f"{evaluation.uri}/metrics.json")
    known = {name: value for name, value in metrics["overall"].items() if value is not None}
    assert known.items() <= shown["evaluation_metrics"].metadata.items()
    assert shown["evaluation_metrics"].metadata["blessed"] == 1

    expected = dsl.ClassificationMetrics()
    expected.log_confusion_matrix(
        **{
            "categories": metrics["confusion_matrix"]["labels"],
            "matrix": metrics["confusion_matrix"]["counts"],
        }
    )
    expected.log_roc_curve(metrics["roc"]["fpr"], metrics["roc"]["tpr"], metrics["roc"]["thresholds"])
    assert shown["classification_metrics"].metadata == expected.metadata

    (examples,) = cluster.artifacts("Examples")[:1]
    assert shown["examples"].metadata["location"] == examples.uri
    assert (shown["examples"].metadata["rows"], shown["examples"].metadata["span"]) == (600, 1)
    assert shown["trained_model"].framework == "keras"
    assert {"loss", "val_loss", "best_epoch"} <= shown["training_metrics"].metadata.keys()
    assert shown["release"].metadata["version"] == 1
    assert shown["release"].metadata["location"] == f"{cluster.bucket}/models/tips/1"
    assert shown["data_quality_checks"].metadata["failed"] == shown["schema_checks"].metadata["failed"] == 0
    assert shown["infra_checks"].metadata["blessed"] == 1
    (report,), (quality,) = cluster.artifacts("RunReport"), cluster.artifacts("DataQualityReport")
    pages = {
        "run_report": f"{report.uri}/index.html",
        "model_card": f"{report.uri}/model_card.md",
        "data_quality_report": f"{quality.uri}/data_docs/index.html",
    }
    for name, page in pages.items():
        assert pathlib.Path(shown[name].path).read_bytes() == cluster.store.cat_file(page)


def before_trainer(cluster: Cluster) -> list[str]:
    order = cluster.double.order()
    return [task for task in order if task not in after_trainer(cluster) and task != "trainer"]


def after_trainer(cluster: Cluster) -> list[str]:
    return ["evaluator", "infra-validator", "pusher", "report"]


def run_trainer(cluster: Cluster, postgres: Any):
    """The Trainer; PostgreSQL goes away while it works and comes back after its work is done."""
    if postgres is None:
        return cluster.double.run_task("trainer", "run-1")
    from tests.pipelines.kubeflow.kubeflow_double import Attempt

    process, lines = cluster.double.start("trainer", "run-1"), []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if "the executor starts" in line:
            postgres.stop()
        if "the metadata store is away" in line and "brought up" in "".join(lines):
            time.sleep(3)
            postgres.start()
            break
    rest, _ = process.communicate(timeout=300)
    output = "".join(lines) + rest
    assert "the metadata store is away" in output
    return Attempt("trainer", process.returncode, output)
