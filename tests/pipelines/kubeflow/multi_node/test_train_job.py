"""The Trainer on two nodes, from the compiled file: its pod, the TrainJob, two workers, an S3-protocol store."""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

import storage
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

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
UPSTREAM = ["schema-importer", "columnar-example-gen", "transform"]
SECRETS = [{"name": "s3", "keys": {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}}]


@dataclasses.dataclass
class Yard:
    """Attributes:
    cluster: data, metadata and artifacts.
    kubernetes: what runs TrainJobs.
    double: KFP, for a file compiled for two nodes.
    alone: KFP, for one compiled for one.
    """

    cluster: Cluster
    kubernetes: ClusterDouble
    double: KubeflowDouble
    alone: KubeflowDouble

    def upstream(self, run_id: str) -> None:
        """The nodes before the Trainer, in this process: they are not what is tested here."""
        config = connection_config(self.cluster.environment)
        for task in UPSTREAM:
            argv = self.double.argv(task, run_id)
            part = spec.decode(argv[argv.index("--spec") + 1])
            bindings = {"pipeline-run-id": run_id, **spec.runtime_defaults(part)}
            run_node(part, bindings, config, RunExecutions(config, run_id, spec.node_context(part)))

    def executions(self, run_id: str) -> list[Any]:
        store = self.cluster.metadata
        run = store.get_context_by_type_and_name("pipeline_run", run_id)
        (trainer,) = [c for c in store.get_contexts_by_type("node") if c.name == "tips.Trainer"]
        mine = {e.id for e in store.get_executions_by_context(trainer.id)}
        return [e for e in store.get_executions_by_context(run.id) if e.id in mine]

    def history(self, run_id: str) -> dict[str, Any]:
        (execution,) = self.executions(run_id)
        assert execution.last_known_state == mlmd.Execution.COMPLETE
        found: dict[str, Any] = self.cluster.json(f"{self.output(execution, 'model_run').uri}/history.json")
        return found

    def output(self, execution: Any, key: str) -> Any:
        store = self.cluster.metadata
        events = [e for e in store.get_events_by_execution_ids([execution.id]) if e.type == mlmd.Event.OUTPUT]
        (found,) = [e.artifact_id for e in events if e.path.steps[0].key == key]
        return store.get_artifacts_by_id([found])[0]

    def checkpoints(self) -> list[str]:
        store = self.cluster.store
        store.invalidate_cache()
        return list(store.find(f"{self.cluster.bucket}/pipelines/tips/Trainer/.system/checkpoints"))


@pytest.fixture(scope="module")
def compiled(yard, s3: str, s3_environment, tmp_path_factory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("cluster")
    model = (yard.folder / "model.py").read_text().replace("import keras\n", IMPORTS + FUSE)
    assert "return keras.Model(" in model
    yard.write(model=model.replace("    return keras.Model(", "    x = Fuse()(x)\n    return keras.Model("))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "")
        patch.setenv("TRAINYARD_SCRATCH", str(folder / "upstream"))
        cluster = make_cluster(yard, s3, folder)
        pools = {**load_pools(), "pair": Pool(nodes=2, memory="3Gi")}
        site = load_site(folder / "kubeflow.yaml", secrets=SECRETS)  # type: ignore[arg-type]
        text = compile_workload(CompileRequest("tips", site, pools, {"trainer": "pair"}))
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
            environment = {**cluster.environment, **kubernetes.environment()}
            yield Yard(cluster, kubernetes, KubeflowDouble(text, environment), cluster.double)


def test_two_nodes_publish_once_what_one_process_learns(compiled: Yard) -> None:
    compiled.upstream("run-1")
    attempt = compiled.double.run_task("trainer", "run-1")
    assert attempt.code == 0, attempt.output + "".join(pod.text() for pod in compiled.kubernetes.pods[-1])
    (execution,) = compiled.executions("run-1")
    model = compiled.output(execution, "model")
    assert storage.is_whole(model.uri) and model.uri.startswith(f"{compiled.cluster.bucket}/pipelines/tips/Trainer/")
    assert len(compiled.cluster.artifacts("Model")) == 1
    assert model.custom_properties["rows_in"].int_value == 487  # of 600; the others are test
    two = compiled.history("run-1")
    assert (two["distribution"], two["replicas"], two["resumed_after"]) == ("multi_worker", 2, [])
    assert len(compiled.kubernetes.made) == 1 and not compiled.checkpoints()
    for pod in compiled.kubernetes.pods[-1]:
        assert "TRAINYARD_METADATA" not in pod.environment

    compiled.upstream("alone")
    attempt = compiled.alone.run_task("trainer", "alone", force_retrain=True)
    assert attempt.code == 0, attempt.output
    one = compiled.history("alone")
    assert one["distribution"] == "none"
    for name, values in one["history"].items():
        np.testing.assert_allclose(two["history"][name], values, rtol=2e-2, atol=1e-3, err_msg=name)


def test_another_run_is_served_from_the_cache_without_a_job(compiled: Yard) -> None:
    compiled.upstream("run-2")
    jobs = len(compiled.kubernetes.made)
    attempt = compiled.double.run_task("trainer", "run-2")
    assert attempt.code == 0 and "from the cache" in attempt.output
    assert len(compiled.kubernetes.made) == jobs


def test_a_lost_worker_ends_the_job_and_the_retry_goes_on_from_the_checkpoint(compiled: Yard) -> None:
    compiled.upstream("run-3")
    compiled.kubernetes.worker_environment = {1: {"KILL_AT_STEP": "20"}}
    first = compiled.double.run_task("trainer", "run-3", seed=7)
    assert first.code == 1, first.output
    assert "TrainJobFailed: TrainJob tips-trainer-" in first.output.splitlines()[-1]
    assert any(name.endswith("checkpoint.json") for name in compiled.checkpoints())
    compiled.kubernetes.worker_environment = {}
    second = compiled.double.run_task("trainer", "run-3", seed=7)
    assert second.code == 0, second.output + "".join(pod.text() for pod in compiled.kubernetes.pods[-1])
    history = compiled.history("run-3")
    assert len(history["resumed_after"]) == 1 and history["resumed_after"][0] >= 1
    assert history["epochs"] == [1, 2, 3]
    names = {job["metadata"]["name"] for job in compiled.kubernetes.made[-2:]}
    assert len(names) == 1 and "DELETE " + names.pop() in compiled.kubernetes.asked


def test_a_trainer_that_dies_is_followed_by_one_that_waits_for_the_same_job(compiled: Yard) -> None:
    compiled.upstream("run-4")
    jobs = len(compiled.kubernetes.made)
    compiled.kubernetes.worker_environment = {i: {"SECONDS_PER_STEP": "0.2"} for i in range(2)}
    process = compiled.double.start("trainer", "run-4", seed=8)
    _until(process, "active")
    process.kill()
    process.wait()
    compiled.kubernetes.away = 2
    compiled.double.environment = {**compiled.double.environment, **compiled.kubernetes.environment("retry", "uid-2")}
    again = compiled.double.run_task("trainer", "run-4", seed=8)
    assert again.code == 0, again.output
    assert "is there from an earlier attempt" in again.output
    assert len(compiled.kubernetes.made) == jobs + 1
    owners = compiled.kubernetes.made[-1]["metadata"]["ownerReferences"]
    assert [one["uid"] for one in owners] == ["uid-1", "uid-2"]
    assert compiled.history("run-4")["epochs"] == [1, 2, 3]


def test_a_trainer_that_is_told_to_end_takes_its_job_with_it(compiled: Yard) -> None:
    compiled.upstream("run-5")
    process = compiled.double.start("trainer", "run-5", seed=9)
    _until(process, "active")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130 and "interrupted" in output, output
    name = compiled.kubernetes.made[-1]["metadata"]["name"]
    assert name not in compiled.kubernetes.jobs
    assert all(pod.process.wait(30) == -signal.SIGKILL for pod in compiled.kubernetes.pods[-1])


def test_what_a_worker_says_of_the_input_is_what_the_node_says(compiled: Yard) -> None:
    compiled.upstream("run-6")
    attempt = compiled.double.run_task("trainer", "run-6", batch_size=3)
    assert attempt.code == 2, attempt.output
    assert "2 devices share batches of at least 4 rows. Received: 3" in attempt.output.splitlines()[-1]


def _until(process: Any, word: str) -> None:
    assert process.stdout
    for line in process.stdout:
        if "TrainJob" in line and word in line:
            return
    raise AssertionError(f"the process ended before it said {word!r}")
