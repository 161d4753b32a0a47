"""`trainyard compile`: what KFP's own tools say of the file, what it holds, and that it is the same everywhere."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
import yaml
from kfp import components as kfp_components
from kfp import dsl

from cli import main as cli
from pipelines.removal import SHIPPED
from pipelines.runners.kubeflow import spec, tasks
from pipelines.runners.kubeflow.cluster.pools import Pool, Toleration, load_pools
from pipelines.runners.kubeflow.cluster.site import DEFAULT_FILE, load_site
from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
from pipelines.runners.kubeflow.lint import Compiled, lint
from spec.errors import InputError
from tests.pipelines.kubeflow.kubeflow_double import KubeflowDouble

ROOT = pathlib.Path(__file__).resolve().parents[3]


def compiled(workload: str = "taxi", **changes) -> str:
    return compile_workload(CompileRequest(workload, load_site(DEFAULT_FILE), load_pools(), **changes))


@pytest.fixture(scope="module")
def taxi() -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        return compiled(chosen_pools={"trainer": "gke-l4"})


def test_kfp_reads_it_and_the_lint_finds_nothing(taxi: str) -> None:
    assert lint(taxi) == []
    loaded = kfp_components.load_component_from_text(taxi)
    assert loaded.pipeline_spec.schema_version == "2.1.0"
    assert set(loaded.platform_spec.platforms) == {"kubernetes"}

    @dsl.pipeline
    def around():
        loaded(epochs=3)  # KFP's SDK takes it as a component, parameters checked


def test_the_tasks_are_the_graphs_nodes_in_its_order(taxi: str) -> None:
    double = KubeflowDouble(taxi, {})
    tasks = double.spec["root"]["dag"]["tasks"]
    assert len(tasks) == 14
    assert tasks["trainer"]["taskInfo"]["name"] == "Trainer"
    assert tasks["trainer"]["dependentTasks"] == ["schema-importer", "transform"]
    order = double.order()
    assert order.index("data-quality") < order.index("transform") < order.index("trainer") < order.index("report")
    assert not any(task["cachingOptions"].get("enableCache") for task in tasks.values())


def test_the_outputs_are_of_kfps_own_types(taxi: str) -> None:
    read = Compiled(taxi)
    declared = {
        task: {
            name: one["artifactType"]["schemaTitle"]
            for name, one in read.components[spec["componentRef"]["name"]]["outputDefinitions"]["artifacts"].items()
        }
        for task, spec in read.tasks.items()
    }
    assert declared["columnar-example-gen"] == {"examples": "system.Dataset"}
    assert declared["data-quality"] == {
        "data_quality_checks": "system.Metrics",
        "data_quality_report": "system.HTML",
    }
    assert declared["trainer"] == {"trained_model": "system.Model", "training_metrics": "system.Metrics"}
    assert declared["evaluator"]["classification_metrics"] == "system.ClassificationMetrics"
    assert declared["report"] == {"model_card": "system.HTML", "run_report": "system.HTML"}
    assert len(declared) == 14 and all(declared.values())


def test_a_regression_has_no_confusion_matrix() -> None:
    assert tasks.outputs("Evaluator", "regression") == {"evaluation_metrics": "system.Metrics"}


def test_run_parameters_have_types_and_the_workloads_defaults(taxi: str) -> None:
    declared = Compiled(taxi).parameters
    assert declared["span"]["description"].startswith("The newest span to train on")
    assert {name: (one["parameterType"], one["defaultValue"]) for name, one in declared.items()} == {
        "span": ("NUMBER_INTEGER", -1.0),
        "force_retrain": ("BOOLEAN", False),
        "epochs": ("NUMBER_INTEGER", 20.0),
        "batch_size": ("NUMBER_INTEGER", 128.0),
        "seed": ("NUMBER_INTEGER", 1.0),
        "dropout": ("NUMBER_DOUBLE", 0.2),
        "embedding_size": ("NUMBER_INTEGER", 8.0),
        "hidden_units": ("NUMBER_INTEGER", 64.0),
        "learning_rate": ("NUMBER_DOUBLE", 0.001),
        "image": ("STRING", "registry.example.com/trainyard:1.4"),
        "trainer_node_selector": ("STRUCT", {"cloud.google.com/gke-accelerator": "nvidia-l4"}),
        "trainer_tolerations": (
            "LIST",
            [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        ),
    }


def test_a_search_is_a_task_ahead_of_the_trainer() -> None:
    space = "training.search={space: {dropout: {type: float, low: 0.0, high: 0.5}}}"
    text = compiled(parameters=(space,), chosen_pools={"tuner": "gke-l4"})
    assert lint(text) == []
    read = Compiled(text)
    assert "tuner" in read.tasks["trainer"]["dependentTasks"]
    assert {"transform"} < set(read.tasks["tuner"]["dependentTasks"]) < set(read.tasks["trainer"]["dependentTasks"])
    outputs = read.components[read.tasks["tuner"]["componentRef"]["name"]]["outputDefinitions"]["artifacts"]
    assert [*outputs] == ["search_metrics"]
    # A run's values of what is not searched reach the trials; the Trainer's own of what is searched are the winner's.
    argv = KubeflowDouble(text, {}).argv("tuner", "r", hidden_units=32, epochs=3)
    assert {"--param=hidden_units=32", "--param=epochs=3"} <= set(argv)


def test_the_trainers_pod(taxi: str) -> None:
    read = Compiled(taxi)
    container, pod = read.executors["exec-trainer"]["container"], read.platform["exec-trainer"]
    assert container["resources"]["accelerator"] == {
        "count": "1",
        "resourceCount": "1",
        "resourceType": "nvidia.com/gpu",
        "type": "nvidia.com/gpu",
    }
    assert (container["resources"]["resourceCpuRequest"], container["resources"]["resourceMemoryLimit"]) == (
        "6",
        "24Gi",
    )
    assert pod["podMetadata"]["labels"]["trainyard.dev/workload"] == "taxi"
    assert pod["podMetadata"]["labels"]["trainyard.dev/revision"] == "0123456789ab"
    mounts = {one["mountPath"]: one for one in pod["emptyDirMounts"]}
    assert mounts["/dev/shm"]["medium"] == "Memory" and mounts["/dev/shm"]["sizeLimit"] == "8Gi"
    assert "/tmp" in mounts
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": "10001", "runAsGroup": "10001"}
    (affinity,) = pod["nodeAffinity"]
    kept_off = {one["key"]: one["values"] for one in affinity["matchExpressions"] if one["operator"] == "NotIn"}
    assert kept_off["cloud.google.com/gke-spot"] == ["true"], "gke-l4 is no spot pool"
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment["TRAINYARD_CHECKPOINTS"] == "s3://trainyard/pipelines/taxi/Trainer/.system/checkpoints"


@pytest.mark.parametrize("task", ["trainer", "transform"])
def test_every_retry_has_its_time(taxi: str, task: str) -> None:
    """Argo's arithmetic (workflow/controller/operator.go, processNodeRetries) over attempts that use all of their deadline."""
    read = Compiled(taxi)
    policy, deadline = read.tasks[task]["retryPolicy"], int(read.platform[f"exec-{task}"]["activeDeadlineSeconds"])
    pause, budget = (int(policy[key].removesuffix("s")) for key in ("backoffDuration", "backoffMaxDuration"))
    attempts, now = 0, 0
    while attempts <= policy["maxRetryCount"]:
        attempts, now = attempts + 1, now + deadline
        pause_now = pause * int(policy["backoffFactor"]) ** (attempts - 1)
        if now > budget or now + pause_now > budget:
            break
        now += pause_now
    assert attempts == policy["maxRetryCount"] + 1 == 3
    assert budget < 3 * (attempts * deadline), "and there is an end"


def test_the_default_pool_is_kept_to() -> None:
    cpu = Pool(node_selector={"kind": "batch"}, tolerations=(Toleration(key="batch", operator="Exists"),))
    request = CompileRequest("taxi", load_site(DEFAULT_FILE), {"cpu": cpu})
    pod = Compiled(compile_workload(request)).platform["exec-trainer"]
    assert pod["nodeSelector"] == {"labels": {"kind": "batch"}}
    assert pod["tolerations"] == [{"key": "batch", "operator": "Exists"}]


def test_no_secret_is_in_the_file(taxi: str) -> None:
    used = Compiled(taxi).platform["exec-pusher"]["secretAsEnv"]
    assert [one["secretName"] for one in used] == ["trainyard-metadata", "trainyard-object-store"]


def test_the_signing_key_goes_to_the_pusher_alone() -> None:
    key = {"name": "trainyard-signing", "keys": {"TRAINYARD_SIGNING_KEY": "signing.pem"}}
    site = load_site(DEFAULT_FILE, signing_key=key)  # type: ignore[arg-type]
    pods = Compiled(compile_workload(CompileRequest("taxi", site, {"cpu": Pool()}))).platform
    assert [name for name, pod in pods.items() if "TRAINYARD_SIGNING_KEY" in str(pod)] == ["exec-pusher"]
    with pytest.raises(InputError, match=r"signing_key.*expected keys: \{TRAINYARD_SIGNING_KEY: KEY\}"):
        load_site(DEFAULT_FILE, signing_key=key | {"keys": {"KEY": "signing.pem"}})  # type: ignore[arg-type]


def test_the_same_input_gives_the_same_bytes_in_another_checkout(taxi: str, tmp_path: pathlib.Path) -> None:
    for name in ("cli", "components", "model_store", "pipelines", "quality", "schemas", "spec"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("answering", "benchmarks", "embedded", "landing", "storage", "vector_index"):
        (tmp_path / name).symlink_to(ROOT / name)
    environment = {**os.environ, "TRAINYARD_CODE_REVISION": "0123456789ab", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "compile", "taxi", "-o", "-", "--check", "--pool", "Trainer=gke-l4"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path), "TRAINYARD_ROOT": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == taxi


def test_an_argument_is_small_readable_and_knows_no_folder_of_ours(taxi: str) -> None:
    double = KubeflowDouble(taxi, {})
    arguments = {task: double.argv(task, "r") for task in double.order()}
    for argv in arguments.values():
        argument = argv[argv.index("--spec") + 1]
        assert len(argument) < 4096
        assert str(ROOT) not in str(spec.readable(argument))
    argument = arguments["trainer"][arguments["trainer"].index("--spec") + 1]
    assert "@trainyard-workloads@/taxi/model.py" in str(spec.readable(argument))
    assert str(ROOT / "pipelines" / "workloads" / "taxi" / "model.py") in str(spec.decode(argument))


def test_a_value_is_one_word_with_its_name(taxi: str) -> None:
    argv = KubeflowDouble(taxi, {}).argv("trainer", "r", learning_rate=1e-05, epochs=3)
    assert (
        "--param=learning_rate=1e-05" in argv and "--param=epochs=3" in argv and "--param=force_retrain=false" in argv
    )


@pytest.mark.parametrize("workload", sorted(SHIPPED))
def test_every_use_case_that_comes_with_trainyard_compiles(workload: str) -> None:
    assert lint(compiled(workload)) == []


def test_a_default_can_be_changed_as_for_a_local_run(tmp_path: pathlib.Path) -> None:
    words = ["--param", "training.epochs=2", "--span", "1970-01-04", "--fixed-image"]
    assert cli.main(["compile", "digits", "-o", str(tmp_path / "digits.yaml"), *words]) == 0
    text = (tmp_path / "digits.yaml").read_text()
    declared = Compiled(text).parameters
    assert (declared["epochs"]["defaultValue"], declared["span"]["defaultValue"]) == (2.0, 3.0)
    assert "image" not in declared and lint(text) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda p, k: p.update(schemaVersion="2.0.0"), "schemaVersion: KFP takes 2.1.0"),
        (lambda p, k: p["deploymentSpec"]["executors"]["exec-pusher"].update(resolver={}), "is a resolver executor"),
        (lambda p, k: p["root"]["dag"]["tasks"].pop("transform"), "waits for 'transform', which is not in the file"),
        (lambda p, k: p["components"].pop("comp-pusher"), "task pusher: its component 'comp-pusher'"),
        (
            lambda p, k: p["deploymentSpec"]["executors"].pop("exec-pusher"),
            "executor 'exec-pusher' is not in the pipeline",
        ),
        (lambda p, k: p["root"]["inputDefinitions"]["parameters"].pop("span"), "the run has no parameter 'span'"),
        (
            lambda p, k: p["root"]["dag"]["tasks"]["trainer"]["inputs"]["parameters"].pop("epochs"),
            "uses the input 'epochs'",
        ),
        (
            lambda p, k: p["root"]["dag"]["tasks"]["transform"]["dependentTasks"].append("trainer"),
            "wait for each other",
        ),
        (
            lambda p, k: p["root"]["dag"]["tasks"]["trainer"]["cachingOptions"].update(enableCache=True),
            "KFP's cache is on",
        ),
        (lambda p, k: p["pipelineInfo"].update(name="Taxi!"), "pipeline 'Taxi!'"),
        (
            lambda p, k: p["root"]["inputDefinitions"]["parameters"]["image"].update(defaultValue="r:5000/trainyard"),
            "image r:5000/trainyard: names no version",
        ),
        (
            lambda p, k: p["deploymentSpec"]["executors"]["exec-pusher"]["container"].update(image="trainyard:latest"),
            "image trainyard:latest: names no version",
        ),
        (lambda p, k: k["exec-pusher"].pop("securityContext"), "may run as root"),
        (
            lambda p, k: p["root"]["dag"]["tasks"]["trainer"]["retryPolicy"].update(backoffMaxDuration="3600s"),
            "task trainer: Argo stops trying 3,600 s after the first attempt began",
        ),
        (
            lambda p, k: p["root"]["dag"]["tasks"]["trainer"]["retryPolicy"].pop("backoffMaxDuration"),
            "task trainer: Argo stops trying 0 s after",
        ),
        (
            lambda p, k: p["root"]["dag"]["tasks"]["trainer"]["retryPolicy"].update(backoffFactor=1.5),
            "backoffFactor 1.5; Argo takes whole numbers",
        ),
        (lambda p, k: k["exec-pusher"]["podMetadata"]["labels"].update(x="no label"), "is no label of Kubernetes"),
        (
            lambda p, k: p["deploymentSpec"]["executors"]["exec-pusher"]["container"]["args"].append("x" * 131072),
            "an argument of 131,072 bytes",
        ),
    ],
)
def test_the_lint_finds_what_kfp_would_find_later(taxi: str, damage, said: str) -> None:
    pipeline, platform = list(yaml.safe_load_all(taxi))
    damage(pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"])
    assert any(said in finding for finding in lint(yaml.safe_dump_all([pipeline, platform])))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nosuch"], "there is no workload 'nosuch'"),
        (["taxi", "--pool", "trainer"], "--pool 'trainer': expected COMPONENT=POOL"),
        (["taxi", "--pool", "trainer=h900"], "there is no pool 'h900'"),
        (["taxi", "--pool", "coach=a100"], "there is no component 'coach'"),
        (["taxi", "--param", "training.epochs=many"], "training.epochs"),
        (
            ["taxi", "--param", "drop_out=0.1"],
            "--param drop_out: there is no such hyper-parameter. Did you mean 'dropout'?",
        ),
        (["taxi", "--site", "/nowhere/kubeflow.yaml"], "/nowhere/kubeflow.yaml: there is no such file"),
        (["taxi", "--root", "artifacts"], "root must be a URL such as s3://bucket/folder"),
        (["taxi", "-o", "/nowhere/taxi.yaml"], "/nowhere/taxi.yaml: cannot be written"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = [] if "-o" in arguments else ["-o", str(tmp_path / "out.yaml")]
    assert cli.main(["compile", *arguments, *output]) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("trainyard:")]
    assert said in line


_SITE = "root: s3://b\ndata: s3://b\nstore: s3://b\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("root: s3://b\ndata: s3://b\nstore: s3://b\nenvironment: {DB_PASSWORD: x}", "looks like a secret"),
        ("root: s3://b\ndata: s3://b\nstore: s3://b\nmetadata: {uri: 'mysql://u:p@h/d'}", "a password does not belong"),
        ("root: s3://b\ndata: s3://b\nstore: s3://b\nimages: x", "field images: there is no such field. Known: image"),
        (_SITE + "volume: {claim: team.artifacts, mount_path: /a}", "KFP names the pod's volume after the claim"),
        (_SITE + "volume: {claim: scratch, mount_path: /a}", "KFP names the pod's volume after the claim"),
        (_SITE + "volume: {claim: a, mount_path: /tmp/}", "something else is mounted there"),
        (_SITE + "environment: {A: $(HOME)/x}", "Kubernetes and Argo would replace"),
        (_SITE + "secrets: [{name: s, keys: {A-B: key}}]", "'A-B' cannot name an environment variable"),
        (_SITE + "secrets: [{name: s, keys: {A: a/b}}]", "'a/b' cannot name a key of a Secret"),
        (_SITE + "service_account: a..b", "field service_account"),
        ("root: s3://b\ndata: s3://b", "field store: is required and missing"),
    ],
)
def test_a_site_that_says_nonsense(tmp_path: pathlib.Path, text: str, said: str) -> None:
    (tmp_path / "kubeflow.yaml").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_site(tmp_path / "kubeflow.yaml")
    assert "\n" not in str(caught.value)
