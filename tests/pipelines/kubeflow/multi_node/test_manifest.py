"""The TrainJob that is compiled: what it says, what Kubeflow Trainer would refuse, and pools that cannot be."""

from __future__ import annotations

import json

import pytest
import yaml

from pipelines.runners.kubeflow.cluster.pools import Pool, load_pools
from pipelines.runners.kubeflow.cluster.site import DEFAULT_FILE, load_site
from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
from pipelines.runners.kubeflow.lint import Compiled, lint
from pipelines.runners.kubeflow.multi_node.manifest import Owner, TrainJobRequest, job_name, manifest
from spec.errors import InputError
from tests.pipelines.kubeflow.kubeflow_double import KubeflowDouble
from tests.pipelines.kubeflow.multi_node.cluster_double import RUNTIME
from tests.pipelines.kubeflow.multi_node.train_job_schema import pod_template, problems

NAME = "taxi-trainer-0123456789"


def compiled(workload: str = "taxi", pool: str = "a100-nodes-4", component: str = "trainer", **changes) -> str:
    pools = {**load_pools(), "pair": Pool(nodes=2), "wide": Pool(nodes=16)}
    request = CompileRequest(workload, load_site(DEFAULT_FILE), pools, {component: pool}, **changes)
    return compile_workload(request)


@pytest.fixture(scope="module")
def taxi() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        return compiled()


@pytest.fixture(scope="module")
def job(taxi: str) -> dict:
    """The TrainJob of a run that chose another kind of node, from the arguments of the Trainer's pod."""
    argv = KubeflowDouble(taxi, {}).argv("trainer", "r", image="taxi:1", trainer_node_selector={"gpu": "h100"})
    given = [argv[argv.index(f"--train-job{name}") + 1] for name in ("", "-image", "-node-selector", "-tolerations")]
    return manifest(TrainJobRequest.from_json(*given), NAME, Owner("pod", "uid"), ["--folder", "s3://x"])


def test_the_trainjob(job: dict) -> None:
    assert problems(job) == []
    spec, trainer = job["spec"], job["spec"]["trainer"]
    assert job["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Pod", "name": "pod", "uid": "uid"}]
    assert job["metadata"]["labels"]["trainyard.dev/workload"] == "taxi"
    runtime = yaml.safe_load(RUNTIME.read_text())
    assert (spec["runtimeRef"]["kind"], spec["runtimeRef"]["name"]) == (runtime["kind"], runtime["metadata"]["name"])
    assert (trainer["numNodes"], trainer["image"], trainer["args"]) == (4, "taxi:1", ["--folder", "s3://x"])
    assert trainer["command"] == ["python", "-P", "-m", "pipelines.runners.kubeflow.multi_node.worker"]
    assert trainer["resourcesPerNode"] == {
        "requests": {"cpu": "8", "memory": "60Gi", "nvidia.com/gpu": "1"},
        "limits": {"memory": "60Gi", "nvidia.com/gpu": "1"},
    }
    assert spec["activeDeadlineSeconds"] == 1440 * 60
    pod = pod_template(job)
    assert pod["metadata"]["labels"]["trainyard.dev/train-job"] == "worker"
    assert pod["spec"]["nodeSelector"] == {"gpu": "h100"}
    assert pod["spec"]["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["spec"]["securityContext"]["runAsUser"] == 10001
    mounts = {one["mountPath"]: one["name"] for one in pod["spec"]["containers"][0]["volumeMounts"]}
    volumes = {one["name"]: one["emptyDir"] for one in pod["spec"]["volumes"]}
    assert volumes[mounts["/dev/shm"]] == {"medium": "Memory", "sizeLimit": "16Gi"} and mounts["/tmp"] in volumes


def test_the_workers_know_each_other_and_no_metadata_store(job: dict) -> None:
    env = {one["name"]: one for one in job["spec"]["trainer"]["env"]}
    assert env["TRAINYARD_WORKERS"]["value"].split(",")[::3] == [
        f"{NAME}-node-0-0.{NAME}:2222",
        f"{NAME}-node-0-3.{NAME}:2222",
    ]
    assert env["TRAINYARD_CHECKPOINTS"]["value"] == "s3://trainyard/pipelines/taxi/Trainer/.system/checkpoints"
    assert env["AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]["name"] == "trainyard-object-store"
    assert not [name for name in env if name.startswith("TRAINYARD_METADATA")]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda job: job["spec"].update(podTemplateOverrides=[]), "podTemplateOverrides"),
        (lambda job: job["metadata"].update(name="Taxi"), "metadata.name"),
        (lambda job: job["spec"]["trainer"].update(numNodes="4"), "spec.trainer.numNodes"),
        (lambda job: pod_template(job)["spec"]["containers"][0].update(env=[]), "env"),
        (lambda job: job["spec"]["trainer"]["env"].append({"name": "A", "valeu": "b"}), "valeu"),
    ],
)
def test_the_check_finds_what_a_cluster_would_not_take(job: dict, damage, said: str) -> None:
    changed = json.loads(json.dumps(job))
    damage(changed)
    assert any(said in problem for problem in problems(changed)), problems(changed)


def test_the_trainers_own_pod_is_small_and_waits(taxi: str) -> None:
    assert lint(taxi) == []
    read = Compiled(taxi)
    container, pod = read.executors["exec-trainer"]["container"], read.platform["exec-trainer"]
    assert "accelerator" not in container["resources"] and container["resources"]["resourceMemoryLimit"] == "4Gi"
    assert {one["name"]: one["fieldPath"] for one in pod["fieldPathAsEnv"]} == {
        "TRAINYARD_POD_NAME": "metadata.name",
        "TRAINYARD_POD_UID": "metadata.uid",
        "TRAINYARD_POD_NAMESPACE": "metadata.namespace",
    }
    assert "nodeSelector" not in pod and "tolerations" not in pod
    assert int(pod["activeDeadlineSeconds"]) > 1440 * 60
    assert read.parameters["trainer_node_selector"]["defaultValue"]
    assert "--train-job" not in read.executors["exec-evaluator"]["container"]["args"]


def test_with_a_fixed_image_the_workers_have_it_too() -> None:
    argv = KubeflowDouble(compiled(pool="pair", fixed_image=True), {}).argv("trainer", "r")
    assert argv[argv.index("--train-job-image") + 1] == load_site(DEFAULT_FILE).image


@pytest.mark.parametrize(
    ("pool", "component", "parameters", "said"),
    [
        ("pair", "transform", (), "the pool has 2 nodes, and only the Trainer shares its work"),
        (
            "pair",
            "trainer",
            ("training.distribution=mirrored",),
            "the pool has 2 nodes, and training.distribution mirr",
        ),
        ("a100", "trainer", ("training.distribution=multi_worker",), "multi_worker needs several nodes"),
        ("wide", "trainer", ("training.batch_size=128",), "16 devices share batches of at least 256 rows. Received"),
    ],
)
def test_what_cannot_be_is_refused(pool: str, component: str, parameters: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        compiled(pool=pool, component=component, parameters=parameters)
    assert "\n" not in str(caught.value)


def test_a_jobs_name_is_the_runs_and_leaves_room_for_its_pods() -> None:
    names = {job_name(run, "Trainer", workload) for run in ("r1", "r2") for workload in ("taxi", "9_lives" * 20)}
    assert len(names) == 4
    for name in names:
        assert len(f"{name}-node-0-63-abcde") <= 63
        assert not problems(
            {"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": name}}
        )[1:]
        assert name[0].isalpha()
    assert job_name("r1", "Trainer", "taxi") == job_name("r1", "Trainer", "taxi")
