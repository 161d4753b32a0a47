"""What two runs on the same data and seed have in common, whatever ran them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import fsspec
import ml_metadata
from kfp import dsl
from ml_metadata.proto import metadata_store_pb2 as mlmd

from model_store import ModelStore
from pipelines.runners.results import RunResult
from spec import home


def local_store(workload: str) -> Any:
    """The local runner's metadata store."""
    config = mlmd.ConnectionConfig()
    config.sqlite.filename_uri = str(home.pipeline_root(workload) / "metadata.sqlite")
    return ml_metadata.MetadataStore(config)


def release(store_uri: str, workload: str) -> dict[str, Any]:
    """What a release says of itself, without what differs from run to run: times, places, and the bytes' digests."""
    found = ModelStore(store_uri).release(workload, 1).as_dict()
    assert found["version"] == 1 and found["files"]
    names = sorted(found["files"])
    kept = {key: found[key] for key in ("gates", "metrics") if key in found}
    return {"files": names, **kept, "data": found.get("data"), "code_revision": found.get("code_revision")}


def outputs(store: Any, run_id: str) -> dict[str, mlmd.Artifact]:
    """`<node>.<output>` -> what the run made, or found in the cache."""
    node_of = _nodes(store, run_id)
    events = [e for e in store.get_events_by_execution_ids(list(node_of)) if e.type == mlmd.Event.OUTPUT]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    return {f"{_short(node_of[e.execution_id])}.{e.path.steps[0].key}": artifacts[e.artifact_id] for e in events}


def states(store: Any, run_id: str) -> dict[str, str]:
    """Node -> how its execution ended."""
    node_of = _nodes(store, run_id)
    found = store.get_executions_by_id(list(node_of))
    return {_short(node_of[e.id]): mlmd.Execution.State.Name(e.last_known_state) for e in found}


def lineage(store: Any, run_id: str) -> dict[str, Any]:
    """Node -> its state, what it read of whom, what it made, and the training settings."""
    node_of = _nodes(store, run_id)
    executions = store.get_executions_by_id(list(node_of))
    kinds = {t.id: t.name for t in store.get_artifact_types()}
    made_by = {}
    for event in store.get_events_by_execution_ids(list(node_of)):
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


def check_same(cluster: Any, run_id: str, local: RunResult, cached: bool = False) -> None:
    """Release, metrics and lineage of a cluster's run against those of the local runner's.

    Args:
        cluster: that ran it.
        run_id: in its metadata store.
        local: the local runner's run.
        cached: nodes may have been served from the cache, which the lineage says of each.
    """
    workload = local.workload
    made = outputs(cluster.metadata, run_id)
    assert cluster.json(f"{made['Evaluator.evaluation'].uri}/metrics.json")["overall"] == local.metrics
    assert release(f"{cluster.bucket}/models", workload) == release(home.store_uri(), workload)
    here, there = lineage(cluster.metadata, run_id), lineage(local_store(workload), local.run_id)
    if cached:
        ended = {mlmd.Execution.COMPLETE, mlmd.Execution.CACHED}
        assert {node.pop("state") for nodes in (here, there) for node in nodes.values()} <= ended
    assert here.keys() == there.keys()
    for node in here:
        assert here[node] == there[node], f"{node}: {here[node]} and, by the local runner, {there[node]}"
    assert "/stage-" not in "".join(artifact.uri for artifact in made.values())
    page = fsspec.filesystem("s3").cat_file(f"{made['Report.report'].uri}/index.html").decode()
    assert "/stage-" not in page and f"{cluster.bucket}/pipelines/{workload}/DataQuality" in page


def check_shown(cluster: Any, run_id: str, shown: Mapping[str, dsl.Artifact]) -> None:
    """What every task left for KFP's UI, against the artifacts in the bucket that it tells of."""
    made = outputs(cluster.metadata, run_id)
    metrics = cluster.json(f"{made['Evaluator.evaluation'].uri}/metrics.json")
    known = {name: value for name, value in metrics["overall"].items() if value is not None}
    assert known.items() <= shown["evaluation_metrics"].metadata.items()
    assert shown["evaluation_metrics"].metadata["blessed"] == 1
    assert shown["classification_metrics"].metadata == _classification(metrics)

    examples = made["ColumnarExampleGen.examples"]
    assert shown["examples"].metadata["location"] == examples.uri
    assert shown["examples"].metadata["rows"] == examples.custom_properties["rows_out"].int_value > 0
    assert shown["examples"].metadata["span"] == 1
    assert shown["transform_graph"].metadata["location"] == made["Transform.transform_graph"].uri
    assert shown["transformed_examples"].metadata["location"] == made["Transform.transformed_examples"].uri
    assert shown["trained_model"].framework == "keras"
    assert shown["trained_model"].metadata["location"] == made["Trainer.model"].uri
    assert {"loss", "val_loss", "best_epoch"} <= shown["training_metrics"].metadata.keys()
    workload = made["Trainer.model"].uri.removeprefix(f"{cluster.bucket}/pipelines/").split("/")[0]
    assert shown["release"].metadata["version"] == 1
    assert shown["release"].metadata["location"] == f"{cluster.bucket}/models/{workload}/1"
    assert shown["data_quality_checks"].metadata["failed"] == shown["schema_checks"].metadata["failed"] == 0
    assert shown["infra_checks"].metadata["blessed"] == 1
    report, quality = made["Report.report"], made["DataQuality.data_quality"]
    pages = {
        "run_report": f"{report.uri}/index.html",
        "model_card": f"{report.uri}/model_card.html",
        "data_quality_report": f"{quality.uri}/data_docs/index.html",
    }
    for name, page in pages.items():
        assert pathlib.Path(shown[name].path).read_bytes() == cluster.store.cat_file(page)


def _classification(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics as KFP's own SDK logs them."""
    expected = dsl.ClassificationMetrics()
    matrix, roc = metrics["confusion_matrix"], metrics.get("roc")
    # KFP's SDK takes texts alone for categories.
    expected.log_confusion_matrix(categories=[str(one) for one in matrix["labels"]], matrix=matrix["counts"])
    if roc:
        expected.log_roc_curve(roc["fpr"], roc["tpr"], roc["thresholds"])
    found: dict[str, Any] = json.loads(json.dumps(expected.metadata))
    return found


def _nodes(store: Any, run_id: str) -> dict[int, str]:
    """Execution -> `<pipeline>.<node>`."""
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    found = {}
    for execution in store.get_executions_by_context(context.id):
        (found[execution.id],) = [c.name for c in store.get_contexts_by_execution(execution.id) if c.type == "node"]
    return found


def _short(node: str) -> str:
    return node.partition(".")[2]
