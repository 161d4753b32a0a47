"""Pods of several nodes, artifacts in an S3-protocol store: what a refusal stops, and what a lost pod leaves to its next attempt."""

from __future__ import annotations

import os
import pathlib
import signal

import fsspec
import pytest

from pipelines.runners.kubeflow.grouping import Tasks
from tests.pipelines.kubeflow import comparison
from tests.pipelines.kubeflow.cluster import Cluster, make_cluster
from tests.yard import trips

pytestmark = pytest.mark.slow
DATA = "schema-importer-to-drift-detector"


@pytest.fixture
def cluster(yard, s3: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("TRAINYARD_CODE_REVISION", "")
    return make_cluster(yard, f"{s3}/{tmp_path.name}", tmp_path, tasks=Tasks.GROUPED)


def test_gates_that_refuse_stop_the_run_and_not_each_other(cluster: Cluster) -> None:
    bad = trips().replace("\n", "\n-40.5,2,cash,0\n", 1)
    fsspec.filesystem("s3").pipe_file(f"{cluster.bucket}/data/tips/span-1/trips.csv", bad.encode())
    attempts = cluster.double.run("bad")
    assert [(a.task, a.code) for a in attempts] == [(DATA, 2)], attempts[-1].output
    line = attempts[-1].output.splitlines()[-1]
    assert line.startswith("trainyard: ") and ". Also: " in line
    for gate in ("ExampleValidator", "DataQuality"):
        assert f"What the gate found is in {cluster.bucket}/pipelines/tips/_gates/bad/{gate}" in line
    states = comparison.states(cluster.metadata, "bad")
    assert {node for node, state in states.items() if state == "FAILED"} == {"ExampleValidator", "DataQuality"}
    assert states["DriftDetector"] == "COMPLETE", "it does not need them"

    before = os.times().children_user
    again = cluster.double.run_task(DATA, "bad")
    assert (again.code, again.output.splitlines()) == (2, [line])
    assert os.times().children_user - before < 3  # CPU seconds: TensorFlow was not imported


def test_a_pod_that_is_lost_goes_on_where_it_was(cluster: Cluster) -> None:
    process, lines = cluster.double.start(DATA, "lost"), []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if "DataQuality: launching" in line:
            process.terminate()
    process.wait()
    assert process.returncode == -signal.SIGTERM, "".join(lines)
    assert any(line.startswith("trainyard: DataQuality: its pod was told to end") for line in lines)
    finished = [e.id for e in cluster.metadata.get_executions() if e.last_known_state == 3]  # COMPLETE
    assert len(finished) >= 3

    attempt = cluster.double.run_task(DATA, "lost")
    assert attempt.code == 0, attempt.output
    assert {*comparison.states(cluster.metadata, "lost").values()} == {"COMPLETE"}
    executions = cluster.metadata.get_executions()
    assert len(executions) == 7 and set(finished) < {one.id for one in executions}, "no node ran twice"
    assert attempt.output.count("the executor starts") == 7 - len(finished)
