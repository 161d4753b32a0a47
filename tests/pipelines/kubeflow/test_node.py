"""Single nodes in processes of their own, artifacts in an S3-protocol store: what survives, and what is refused."""

from __future__ import annotations

import os
import pathlib
import time

import pytest
import yaml

import storage
from pipelines.runners.kubeflow.cluster.pools import load_pools
from pipelines.runners.kubeflow.cluster.site import load_site
from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
from pipelines.runners.kubeflow.lint import Compiled
from tests.pipelines.kubeflow.cluster import REVISION, Cluster, make_cluster
from tests.pipelines.kubeflow.kubeflow_double import KubeflowDouble

IMPORTER, EXAMPLES = "schema-importer", "columnar-example-gen"


@pytest.fixture(scope="module")
def cluster(yard, s3: str, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "")
        yield make_cluster(yard, s3, tmp_path_factory.mktemp("cluster"))


def test_two_nodes_leave_whole_artifacts_under_their_own_uris(cluster: Cluster) -> None:
    attempts = cluster.double.run("run-1", only=[IMPORTER, EXAMPLES])
    assert [a.code for a in attempts] == [0, 0], attempts[-1].output
    (examples,) = cluster.artifacts("Examples")
    assert examples.uri.startswith(f"{cluster.bucket}/pipelines/tips/ColumnarExampleGen/examples/")
    assert storage.is_whole(examples.uri)
    assert examples.custom_properties["rows_out"].int_value == 600
    assert not list(pathlib.Path(cluster.environment["TRAINYARD_SCRATCH"]).iterdir())
    shown = cluster.double.shown(EXAMPLES, "run-1")["examples"]
    assert shown.metadata["location"] == examples.uri and shown.metadata["rows"] == 600
    assert f"location: {examples.uri}\n" in pathlib.Path(shown.path).read_text()


def test_a_second_run_is_served_from_the_cache(cluster: Cluster) -> None:
    attempts = cluster.double.run("run-2", only=[IMPORTER, EXAMPLES])
    assert all("from the cache" in a.output for a in attempts)
    first, second = (cluster.double.shown(EXAMPLES, run)["examples"].metadata for run in ("run-1", "run-2"))
    assert first == second


@pytest.mark.slow
def test_an_artifact_deleted_by_hand_is_made_again(cluster: Cluster) -> None:
    (examples,) = cluster.artifacts("Examples")
    damaged = next(name for name in cluster.store.find(examples.uri) if name.endswith(".parquet"))
    cluster.store.rm_file(damaged)
    attempts = cluster.double.run("run-3", only=[IMPORTER, EXAMPLES])
    assert [a.code for a in attempts] == [0, 0]
    assert "from the cache" in attempts[0].output and "is made again where it is needed" in attempts[1].output
    newest = max(cluster.artifacts("Examples"), key=lambda a: a.id)
    assert newest.id != examples.id and storage.is_whole(newest.uri)


def test_an_attempt_that_died_is_taken_up_by_the_next(cluster: Cluster) -> None:
    cluster.double.run("run-4", only=[IMPORTER])
    for name in cluster.store.find(f"{cluster.bucket}/data"):  # so that the cache does not answer
        cluster.store.pipe_file(name, cluster.store.cat_file(name) + b"20.00,7.00,card,1\n")
    process = cluster.double.start(EXAMPLES, "run-4")
    assert process.stdout
    for line in process.stdout:
        if "the executor starts" in line:
            process.kill()
            break
    process.wait()
    dead = [e for e in cluster.metadata.get_executions() if e.last_known_state == 2]  # RUNNING
    assert len(dead) == 1
    attempt = cluster.double.run_task(EXAMPLES, "run-4")
    assert attempt.code == 0, attempt.output
    (same,) = cluster.metadata.get_executions_by_id([dead[0].id])
    assert same.last_known_state == 3  # COMPLETE: the same execution
    newest = max(cluster.artifacts("Examples"), key=lambda a: a.id)
    assert newest.uri.endswith(f"/{same.id}") and newest.custom_properties["rows_out"].int_value == 601


def test_what_a_retry_could_only_meet_again_ends_the_retry_at_once(cluster: Cluster) -> None:
    cluster.double.run("run-5", only=[IMPORTER])
    first = cluster.double.run_task(EXAMPLES, "run-5", span=7)
    assert first.code == 2 and "span 7 is not there" in first.output.splitlines()[-1]
    started = os.times().children_user
    again = cluster.double.run_task(EXAMPLES, "run-5", span=1)
    assert (again.code, again.output.splitlines()) == (2, [first.output.splitlines()[-1]])
    assert os.times().children_user - started < 3  # CPU seconds: TensorFlow was not imported


@pytest.mark.parametrize(
    ("changed", "given", "said"),
    [
        (
            {"TRAINYARD_CODE_REVISION": "feedfeedfeed"},
            {},
            "this image holds code revision feedfeedfeed-dirty, and the pipeline was compiled from 0123456789ab-dirty",
        ),
        ({}, {"span": -5}, "parameter span: a whole number from 0 on"),
        ({"TRAINYARD_METADATA": "redis://x"}, {}, "TRAINYARD_METADATA: expected postgresql://"),
    ],
)
def test_what_is_refused_is_refused_at_once_in_one_line(cluster: Cluster, changed, given, said: str) -> None:
    before = dict(cluster.double.environment)
    cluster.double.environment = {**before, **changed}
    try:
        attempt = cluster.double.run_task(EXAMPLES, f"refused-{time.monotonic_ns()}", **given)
    finally:
        cluster.double.environment = before
    assert attempt.code == 2
    assert said in attempt.output.splitlines()[-1]


def test_a_run_that_cannot_write_its_root_ends_before_the_work(cluster: Cluster) -> None:
    with cluster.double.rooted(IMPORTER, "s3://no-such-bucket/pipelines/tips"):
        attempt = cluster.double.run_task(IMPORTER, "no-bucket")
    assert attempt.code == 2 and "Make the bucket" in attempt.output.splitlines()[-1]


@pytest.mark.slow
def test_on_a_shared_volume_nothing_is_staged(yard, cluster: Cluster, tmp_path: pathlib.Path) -> None:
    site = {"root": f"{tmp_path}/root", "data": f"{yard.root}/data", "store": f"{tmp_path}/models"}
    site |= {"volume": {"claim": "trainyard", "mount_path": os.path.commonpath([tmp_path, yard.root])}}
    (tmp_path / "kubeflow.yaml").write_text(yaml.safe_dump(site))
    os.environ["TRAINYARD_CODE_REVISION"] = REVISION
    text = compile_workload(CompileRequest("tips", load_site(tmp_path / "kubeflow.yaml"), load_pools()))
    environment = {**cluster.environment, "TRAINYARD_METADATA": f"sqlite://{tmp_path}/metadata.sqlite"}
    double = KubeflowDouble(text, environment)
    assert Compiled(text).platform["exec-trainer"]["pvcMount"][0]["mountPath"] == site["volume"]["mount_path"]
    first = double.run("run-1", only=[IMPORTER, EXAMPLES])
    assert [a.code for a in first] == [0, 0], first[-1].output
    (file,) = (tmp_path / "root").glob("tips/ColumnarExampleGen/examples/*/Split-train/*")
    file.unlink()
    second = double.run("run-2", only=[IMPORTER, EXAMPLES])
    assert [("from the cache" in a.output) for a in second] == [True, False]
    assert len(list((tmp_path / "root").glob("tips/ColumnarExampleGen/examples/*/Split-train/*"))) == 1
