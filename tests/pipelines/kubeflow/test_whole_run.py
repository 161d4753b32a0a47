"""The whole graph from the compiled file, a process a node, against `trainyard run` on the same data and seed."""

from __future__ import annotations

import json
import pathlib
import time
from typing import Any

import pytest

from pipelines.run import Display, RunRequest, run
from pipelines.runners.kubeflow.grouping import Tasks
from pipelines.runners.results import RunResult
from tests.pipelines.kubeflow import comparison
from tests.pipelines.kubeflow.cluster import Cluster, make_cluster
from tests.pipelines.kubeflow.kubeflow_double import Attempt

pytestmark = pytest.mark.slow
NODES = 14


@pytest.fixture(scope="module")
def local(yard) -> RunResult:
    """The local runner's run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        result = run(RunRequest("tips", 1), Display())
    assert result.status == "succeeded", result.error
    return result


@pytest.fixture
def cluster(yard, s3: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, request) -> Cluster:
    monkeypatch.setenv("TRAINYARD_CODE_REVISION", "")
    metadata = request.getfixturevalue(request.param).environment if request.param else None
    return make_cluster(yard, f"{s3}/{request.param or 'sqlite'}", tmp_path, metadata)


@pytest.mark.parametrize("cluster", [None, "postgres"], indirect=True, ids=["sqlite", "postgresql"])
def test_release_metrics_and_lineage_are_the_local_runners(cluster: Cluster, local: RunResult, request) -> None:
    postgres = request.getfixturevalue("postgres") if "POSTGRES" in str(cluster.environment).upper() else None
    attempts = cluster.double.run("run-1", only=before_trainer(cluster))
    attempts.append(run_trainer(cluster, postgres))
    attempts += cluster.double.run("run-1", only=after_trainer(cluster))
    assert [a.code for a in attempts] == [0] * NODES, attempts[-1].output

    comparison.check_same(cluster, "run-1", local)
    comparison.check_shown(cluster, "run-1", cluster.double.all_shown("run-1"))


@pytest.mark.parametrize("cluster", ["postgres"], indirect=True, ids=["postgresql"])
def test_again_from_the_cache_and_trained_again_when_forced(cluster: Cluster) -> None:
    """Goes on where the test before left PostgreSQL and the bucket."""
    again = cluster.double.run("run-2")
    assert [a.code for a in again] == [0] * NODES, again[-1].output
    assert all("from the cache" in a.output for a in again)
    comparison.check_shown(cluster, "run-2", cluster.double.all_shown("run-2"))
    forced = cluster.double.run("run-3", force_retrain=True)
    assert [a.code for a in forced] == [0] * NODES, forced[-1].output
    outcomes = {a.task: "from the cache" in a.output for a in forced}
    assert not outcomes["trainer"] and not outcomes["evaluator"]
    assert outcomes["transform"] and outcomes["columnar-example-gen"]
    changed = cluster.double.run("run-4", only=[*before_trainer(cluster), "trainer"], epochs=2)
    assert "from the cache" not in changed[-1].output and changed[-1].code == 0
    settings = comparison.lineage(cluster.metadata, "run-4")["tips.Trainer"]["training"]
    assert json.loads(settings)["epochs"] == 2


def test_grouped_it_is_the_same_run_in_three_pods(yard, s3: str, tmp_path, local: RunResult, monkeypatch) -> None:
    monkeypatch.setenv("TRAINYARD_CODE_REVISION", "")
    cluster = make_cluster(yard, f"{s3}/grouped", tmp_path, tasks=Tasks.GROUPED)
    attempts = cluster.double.run("run-1")
    assert [a.code for a in attempts] == [0] * 3, attempts[-1].output
    comparison.check_same(cluster, "run-1", local)
    comparison.check_shown(cluster, "run-1", cluster.double.all_shown("run-1"))
    assert set(comparison.states(cluster.metadata, "run-1").values()) == {"COMPLETE"}

    again = cluster.double.run("run-2")
    assert [a.code for a in again] == [0] * 3, again[-1].output
    assert [*comparison.states(cluster.metadata, "run-2").values()] == ["CACHED"] * NODES
    comparison.check_shown(cluster, "run-2", cluster.double.all_shown("run-2"))
    forced = cluster.double.run("run-3", only=cluster.double.order()[:2], force_retrain=True)
    assert [a.code for a in forced] == [0] * 2, forced[-1].output
    states = comparison.states(cluster.metadata, "run-3")
    assert states.pop("Trainer") == "COMPLETE" and set(states.values()) == {"CACHED"}


def before_trainer(cluster: Cluster) -> list[str]:
    order = cluster.double.order()
    return [task for task in order if task not in after_trainer(cluster) and task != "trainer"]


def after_trainer(cluster: Cluster) -> list[str]:
    return ["evaluator", "infra-validator", "pusher", "report"]


def run_trainer(cluster: Cluster, postgres: Any):
    """The Trainer; PostgreSQL goes away while it works and comes back after its work is done."""
    if postgres is None:
        return cluster.double.run_task("trainer", "run-1")
    process, lines = cluster.double.start("trainer", "run-1"), []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if "the executor starts" in line:
            postgres.stop()
        if "the metadata store is away" in line and "outputs uploaded" in "".join(lines):
            time.sleep(3)
            postgres.start()
            break
    rest, _ = process.communicate(timeout=300)
    output = "".join(lines) + rest
    assert "the metadata store is away" in output
    return Attempt("trainer", process.returncode, output)
