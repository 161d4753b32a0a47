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
from tests.pipelines.kubeflow.multi_node.cluster_double import RUNTIME, SEARCH_RUNTIME
from tests.pipelines.kubeflow.multi_node.train_job_schema import pod_template, problems

NAME = "taxi-trainer-0123456789"


SPACE = "{learning_rate: {type: float, low: 0.001, high: 0.1, log: true}}"
SEARCH = f"training.search={{trials: 20, parallel: 2, space: {SPACE}}}"
STORAGE = {"name": "searches", "keys": {"TRAINYARD_SEARCH_STORAGE": "url"}}


def compiled(workload: str = "taxi", pool: str = "a100-nodes-4", component: str = "trainer", **changes) -> str:
    pools = {**load_pools(), "pair": Pool(nodes=2), "wide": Pool(nodes=16)}
    site = load_site(DEFAULT_FILE, search_storage=STORAGE)  # type: ignore[arg-type]
    return compile_workload(CompileRequest(workload, site, pools, {component: pool}, **changes))


def job_of(file: str, task: str, **given) -> dict:
    """The TrainJob of a run, from the arguments of the pod that starts it."""
    argv = KubeflowDouble(file, {}).argv(task, "r", image="taxi:1", **given)
    arguments = [argv[argv.index(f"--train-job{one}") + 1] for one in ("", "-image", "-node-selector", "-tolerations")]
    return manifest(TrainJobRequest.from_json(*arguments), NAME, Owner("pod", "uid"), ["--folder", "s3://x"])


@pytest.fixture(scope="module")
def taxi() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        return compiled()


@pytest.fixture(scope="module")
def job(taxi: str) -> dict:
    """Of a run that chose another kind of node."""
    return job_of(taxi, "trainer", trainer_node_selector={"gpu": "h100"})


@pytest.fixture(scope="module")
def searching() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        return compiled(component="tuner", parameters=(SEARCH,))


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


def test_the_job_of_a_search(searching: str) -> None:
    assert lint(searching) == []
    job = job_of(searching, "tuner")
    assert problems(job) == []
    spec, trainer, runtime = job["spec"], job["spec"]["trainer"], yaml.safe_load(SEARCH_RUNTIME.read_text())
    assert (spec["runtimeRef"]["kind"], spec["runtimeRef"]["name"]) == (runtime["kind"], runtime["metadata"]["name"])
    assert (trainer["numNodes"], trainer["image"]) == (4, "taxi:1")
    assert trainer["command"] == ["python", "-P", "-m", "pipelines.runners.kubeflow.multi_node.worker"]
    assert trainer["resourcesPerNode"]["limits"] == {"memory": "60Gi", "nvidia.com/gpu": "1"}
    names = {one["name"] for one in trainer["env"]}
    assert "AWS_SECRET_ACCESS_KEY" in names
    assert not [name for name in names if name.startswith("TRAINYARD_METADATA") or "SEARCH_STORAGE" in name]
    labels = pod_template(job)["metadata"]["labels"]
    assert (labels["trainyard.dev/node"], labels["trainyard.dev/train-job"]) == ("Tuner", "worker")


def test_the_pod_that_keeps_the_trials_has_an_address_and_alone_the_database(searching: str) -> None:
    read = Compiled(searching)
    assert "accelerator" not in read.executors["exec-tuner"]["container"]["resources"]
    pods = {name: json.dumps(pod) for name, pod in read.platform.items()}
    assert [name for name, pod in pods.items() if "TRAINYARD_SEARCH_STORAGE" in pod] == ["exec-tuner"]
    fields = {one["name"]: one["fieldPath"] for one in read.platform["exec-tuner"]["fieldPathAsEnv"]}
    assert fields["TRAINYARD_POD_IP"] == "status.podIP" and "TRAINYARD_POD_UID" in fields
    secret = read.platform["exec-tuner"]["secretAsEnv"][-1]
    assert secret["secretName"] == "searches"
    assert secret["keyToEnv"] == [{"envVar": "TRAINYARD_SEARCH_STORAGE", "secretKey": "url"}]


def test_on_one_node_a_search_needs_neither(searching: str) -> None:
    read = Compiled(compiled(pool="a100", component="tuner", parameters=(SEARCH,)))
    assert "--train-job" not in read.executors["exec-tuner"]["container"]["args"]
    assert "TRAINYARD_SEARCH_STORAGE" not in json.dumps(read.platform) and "POD_IP" not in json.dumps(read.platform)


def test_a_secret_of_another_variable_is_refused() -> None:
    with pytest.raises(InputError, match=r"search_storage.*expected keys: \{TRAINYARD_SEARCH_STORAGE: KEY\}"):
        load_site(DEFAULT_FILE, search_storage={"name": "searches", "keys": {"STORAGE": "url"}})  # type: ignore[arg-type]


def test_with_a_fixed_image_the_workers_have_it_too() -> None:
    argv = KubeflowDouble(compiled(pool="pair", fixed_image=True), {}).argv("trainer", "r")
    assert argv[argv.index("--train-job-image") + 1] == load_site(DEFAULT_FILE).image


@pytest.mark.parametrize(
    ("pool", "component", "parameters", "said"),
    [
        ("pair", "transform", (), "the pool has 2 nodes, and only Trainer and Tuner share their work"),
        (
            "pair",
            "trainer",
            ("training.distribution=mirrored",),
            "the pool has 2 nodes, and training.distribution mirr",
        ),
        ("a100", "trainer", ("training.distribution=multi_worker",), "multi_worker needs several nodes"),
        ("wide", "trainer", ("training.batch_size=128",), "16 devices share batches of at least 256 rows. Received"),
        ("wide", "tuner", (SEARCH,), "16 nodes with training.search.parallel 2 try 32 combinations at once. Received"),
    ],
)
def test_what_cannot_be_is_refused(pool: str, component: str, parameters: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        compiled(pool=pool, component=component, parameters=parameters)
    assert "\n" not in str(caught.value)


def test_a_jobs_name_is_the_runs_and_leaves_room_for_its_pods(job: dict) -> None:
    names = {job_name(run, "Trainer", workload) for run in ("r1", "r2") for workload in ("taxi", "9_lives" * 20)}
    assert len(names) == 4
    for name in names:
        assert len(f"{name}-node-0-63-abcde") <= 63
        assert problems({**job, "metadata": {**job["metadata"], "name": name}}) == []
        assert name[0].isalpha()
    assert job_name("r1", "Trainer", "taxi") == job_name("r1", "Trainer", "taxi")
