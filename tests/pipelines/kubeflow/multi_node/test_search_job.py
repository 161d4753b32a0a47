"""A search on two nodes, from the compiled file: the Tuner's pod, the TrainJob, an S3-protocol store, PostgreSQL for the trials."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import optuna
import pytest
import sqlalchemy as sa
from ml_metadata.proto import metadata_store_pb2 as mlmd
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

import storage
from components.tuner import _storages
from pipelines.metadata.attempts import RunExecutions
from pipelines.metadata.connecting import connection_config
from pipelines.runners.kubeflow import spec
from pipelines.runners.kubeflow.cluster.pools import Pool, load_pools
from pipelines.runners.kubeflow.cluster.site import load_site
from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
from pipelines.runners.kubeflow.launching import run_node
from pipelines.runners.kubeflow.lint import lint
from tests.fuse import FUSE, IMPORTS
from tests.pipelines.kubeflow.cluster import Cluster, make_cluster
from tests.pipelines.kubeflow.kubeflow_double import KubeflowDouble
from tests.pipelines.kubeflow.multi_node.cluster_double import ClusterDouble, cluster_double
from tests.servers import PASSWORD, Postgres, postgres_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
UPSTREAM = ["schema-importer", "columnar-example-gen", "transform"]
SECRETS = [{"name": "s3", "keys": {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}}]
STORAGE = {"name": "searches", "keys": {"TRAINYARD_SEARCH_STORAGE": "url"}}
TRAINING = """training:
  epochs: 3
  batch_size: 32
  hyperparameters: {units: 16, learning_rate: 0.01}
  search:
    trials: 6
    pruner: none
    space:
      units: {type: int, low: 4, high: 32, step: 4}
      learning_rate: {type: float, low: 0.001, high: 0.1, log: true}
"""
LIMIT_S = 300


@dataclasses.dataclass
class Yard:
    """Attributes:
    cluster: data, metadata and artifacts.
    kubernetes: what runs TrainJobs.
    double: KFP.
    database: of the trials.
    """

    cluster: Cluster
    kubernetes: ClusterDouble
    double: KubeflowDouble
    database: BaseStorage

    def upstream(self, run_id: str) -> None:
        """The nodes before the Tuner, in this process: they are not what is tested here."""
        config = connection_config(self.cluster.environment)
        for task in UPSTREAM:
            argv = self.double.argv(task, run_id)
            part = spec.decode(argv[argv.index("--spec") + 1])
            bindings = {"pipeline-run-id": run_id, **spec.runtime_defaults(part)}
            run_node(part, bindings, config, RunExecutions(config, run_id, spec.node_context(part)))

    @property
    def trials(self) -> list[FrozenTrial]:
        """Of the one search that there is; none where it is over."""
        names = optuna.get_all_study_names(self.database)
        return optuna.load_study(study_name=names[0], storage=self.database).trials if names else []

    def under_way(self, tuner: subprocess.Popen[str], ended: int) -> list[FrozenTrial]:
        """Two trials in the middle of their training, after others have ended."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            assert tuner.poll() is None, tuner.communicate()[0] + self.logs()
            trials = self.trials
            found = [t for t in trials if t.state is TrialState.RUNNING and t.last_step and "worker" in t.user_attrs]
            if len(found) == 2 and sum(one.state is TrialState.COMPLETE for one in trials) >= ended:
                return found
            time.sleep(0.1)
        raise AssertionError([one.state for one in self.trials])

    def record(self) -> dict[str, Any]:
        (artifact,) = self.cluster.artifacts("HyperParameters")[-1:]
        assert artifact.uri.startswith(self.cluster.bucket) and storage.is_whole(artifact.uri)
        assert artifact.state == mlmd.Artifact.LIVE
        found: dict[str, Any] = self.cluster.json(f"{artifact.uri}/search.json")
        return found

    def logs(self) -> str:
        return "".join(pod.text() for pod in self.kubernetes.pods[-1])


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres_server() as one:
        yield one


@pytest.fixture(scope="module")
def compiled(yard, s3: str, s3_environment, server: Postgres, tmp_path_factory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("cluster")
    model = (yard.folder / "model.py").read_text().replace("import keras\n", IMPORTS + FUSE)
    model = model.replace("Dense(16", 'Dense(hyperparameters["units"]')
    workload = (yard.folder / "workload.yaml").read_text()
    yard.write(
        model=model.replace("    return keras.Model(", "    x = Fuse()(x)\n    return keras.Model("),
        workload=workload.replace("training: {epochs: 3, batch_size: 32}\n", TRAINING),
    )
    database = sa.make_url(server.url()).set(password=PASSWORD).render_as_string(hide_password=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "")
        patch.setenv("TRAINYARD_SCRATCH", str(folder / "upstream"))
        cluster = make_cluster(yard, s3, folder)
        pools = {**load_pools(), "pair": Pool(nodes=2, memory="3Gi")}
        site = load_site(folder / "kubeflow.yaml", secrets=SECRETS, search_storage=STORAGE)  # type: ignore[arg-type]
        text = compile_workload(CompileRequest("tips", site, pools, {"tuner": "pair"}))
        assert lint(text) == []
        image = {k: v for k, v in cluster.environment.items() if k not in ("TRAINYARD_METADATA", "TRAINYARD_SCRATCH")}
        image |= {
            **yard.environment(),
            "AWS_ENDPOINT_URL": s3_environment["AWS_ENDPOINT_URL"],
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        image |= {"TRAINYARD_DATA": "/nowhere", "TRAINYARD_STORE": "/nowhere"}
        keys = {"s3/id": s3_environment["AWS_ACCESS_KEY_ID"], "s3/key": s3_environment["AWS_SECRET_ACCESS_KEY"]}
        with cluster_double(folder / "kubernetes", image, keys) as kubernetes:
            (folder / "kubernetes").mkdir()
            kubernetes.worker_environment = {i: {"SECONDS_PER_STEP": "0.1"} for i in range(2)}
            environment = {**cluster.environment, **kubernetes.environment(), "TRAINYARD_SEARCH_STORAGE": database}
            yield Yard(cluster, kubernetes, KubeflowDouble(text, environment), _storages.database(database))


def test_a_pod_that_is_lost_costs_its_trial_and_starts_again(compiled: Yard) -> None:
    compiled.upstream("run-1")
    tuner = compiled.double.start("tuner", "run-1")
    lost = compiled.under_way(tuner, ended=1)[0]
    pods = compiled.kubernetes.pods[-1]
    for pod in pods:
        assert not any(
            PASSWORD in value or name.startswith("TRAINYARD_METADATA") for name, value in pod.environment.items()
        )
    worker = int(lost.user_attrs["worker"].rpartition("/")[2])
    parent = int(pathlib.Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[1])
    assert parent in [pod.process.pid for pod in pods]
    os.kill(parent, signal.SIGKILL)
    output, _ = tuner.communicate(timeout=600)
    assert tuner.returncode == 0, output + compiled.logs()
    record = compiled.record()
    assert record["counts"] == {"complete": 6, "pruned": 0, "failed": 0, "lost": 1} and record["parallel"] == 2
    (told,) = [one for one in record["trials"] if one["state"] == "lost"]
    (again,) = [one for one in record["trials"] if one.get("instead_of") == told["number"]]
    assert told["number"] == lost.number and again["values"] == told["values"]
    assert len(compiled.kubernetes.restarted) == 1 and len(compiled.kubernetes.made) == 1
    assert not compiled.trials  # what was in the database is in the artifact's journal


def test_a_tuner_that_dies_is_followed_by_one_that_goes_on(compiled: Yard) -> None:
    compiled.upstream("run-2")
    tuner = compiled.double.start("tuner", "run-2", force_retrain=True)
    compiled.under_way(tuner, ended=2)
    tuner.kill()
    tuner.wait()
    before = {one.number: one.value for one in compiled.trials if one.state is TrialState.COMPLETE}
    again = compiled.double.run_task("tuner", "run-2", force_retrain=True)
    assert again.code == 0, again.output + compiled.logs()
    assert "is there from an earlier attempt; another takes its place" in again.output
    record = compiled.record()
    assert before.items() <= {one["number"]: one["value"] for one in record["trials"]}.items()
    assert record["counts"]["complete"] == 6 and record["counts"]["lost"] <= 2
    first, second = (job["metadata"] for job in compiled.kubernetes.made[-2:])
    assert first["name"] == second["name"] and f"DELETE {first['name']}" in compiled.kubernetes.asked


def test_a_tuner_that_is_told_to_end_takes_its_job_with_it(compiled: Yard) -> None:
    compiled.upstream("run-3")
    tuner = compiled.double.start("tuner", "run-3", force_retrain=True)
    compiled.under_way(tuner, ended=0)
    tuner.send_signal(signal.SIGTERM)
    output, _ = tuner.communicate(timeout=60)
    assert tuner.returncode == 130 and "interrupted" in output, output
    assert compiled.kubernetes.made[-1]["metadata"]["name"] not in compiled.kubernetes.jobs
    assert all(pod.process.wait(30) == -signal.SIGKILL for pod in compiled.kubernetes.pods[-1])
