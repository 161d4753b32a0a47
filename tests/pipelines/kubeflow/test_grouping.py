"""`--tasks grouped`: which nodes share a pod, and what the compiled file says of it."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest

from cli import main as cli
from pipelines.removal import SHIPPED
from pipelines.runners.kubeflow import grouping
from pipelines.runners.kubeflow.cluster.pools import Pool, load_pools
from pipelines.runners.kubeflow.cluster.site import DEFAULT_FILE, Secret, load_site
from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload
from pipelines.runners.kubeflow.grouping import Tasks
from pipelines.runners.kubeflow.lint import Compiled, lint
from tests.pipelines.kubeflow.kubeflow_double import KubeflowDouble

DATA = [
    "ChampionResolver",
    "ColumnarExampleGen",
    "StatisticsGen",
    "ExampleValidator",
    "DataQuality",
    "DriftDetector",
]
JUDGED = ["Baseline", "Evaluator", "InfraValidator", "Pusher", "Report"]
SIGNED = {"signing_key": Secret(name="key", keys={"TRAINYARD_SIGNING_KEY": "key"})}
SEARCH = "training.search={space: {dropout: {type: float, low: 0.0, high: 0.5}}}"


def grouped(workload: str = "taxi", site: Mapping[str, Any] | None = None, **changes: Any) -> Compiled:
    at = load_site(DEFAULT_FILE).model_copy(update=site or {})
    request = CompileRequest(workload, at, **{"pools": load_pools(), **changes}, tasks=Tasks.GROUPED)
    text = compile_workload(request)
    assert lint(text) == []
    return Compiled(text)


def nodes(compiled: Compiled) -> dict[str, list[str]]:
    """Task -> its nodes, in the order in which they run."""
    found = {}
    for task in compiled.tasks:
        words = container(compiled, task)["args"]
        found[task] = [word for before, word in itertools.pairwise(words) if before == "--node"]
    return found


def container(compiled: Compiled, task: str) -> dict[str, Any]:
    component = compiled.components[compiled.tasks[task]["componentRef"]["name"]]
    made: dict[str, Any] = compiled.executors[component["executorLabel"]]["container"]
    return made


@pytest.fixture(scope="module")
def taxi() -> Compiled:
    return grouped()


def test_data_training_and_judgement_are_a_pod_each(taxi: Compiled) -> None:
    assert nodes(taxi) == {
        "schema-importer-to-drift-detector": ["SchemaImporter", *DATA],
        "transform-to-trainer": ["Transform", "Trainer"],
        "baseline-to-report": JUDGED,
    }
    assert taxi.tasks["baseline-to-report"]["taskInfo"]["name"] == "Baseline to Report"
    depends = {name: set(task.get("dependentTasks", ())) for name, task in taxi.tasks.items()}
    assert depends == {
        "schema-importer-to-drift-detector": set(),
        "transform-to-trainer": {"schema-importer-to-drift-detector"},
        "baseline-to-report": {"schema-importer-to-drift-detector", "transform-to-trainer"},
    }


def test_the_ui_is_shown_the_same_and_a_run_takes_the_same_parameters(taxi: Compiled) -> None:
    each = Compiled(compile_workload(CompileRequest("taxi", load_site(DEFAULT_FILE), load_pools())))
    assert shown(taxi) == shown(each) and len(shown(taxi)) > 15
    assert taxi.parameters == each.parameters
    taken = {name: set(task["inputs"]["parameters"]) - {"run_id"} for name, task in taxi.tasks.items()}
    assert taken["schema-importer-to-drift-detector"] >= {"span"}
    assert taken["transform-to-trainer"] >= {"epochs", "learning_rate", "force_retrain"}
    assert "force_retrain" not in taken["baseline-to-report"]


def shown(compiled: Compiled) -> dict[str, str]:
    return {
        name: one["artifactType"]["schemaTitle"]
        for task in compiled.tasks.values()
        for name, one in compiled.components[task["componentRef"]["name"]]["outputDefinitions"]["artifacts"].items()
    }


def test_what_needs_no_gpu_holds_none() -> None:
    made = grouped(chosen_pools={"trainer": "gke-l4"})
    assert [*nodes(made).values()] == [JUDGED, ["SchemaImporter", *DATA], ["Trainer"], ["Transform"]]
    with_gpu = [task for task in made.tasks if "accelerator" in container(made, task)["resources"]]
    assert with_gpu == ["trainer"]
    assert made.parameters["trainer_node_selector"]["defaultValue"] == {"cloud.google.com/gke-accelerator": "nvidia-l4"}


def test_a_search_and_the_training_after_it_share_their_gpu() -> None:
    made = grouped(parameters=(SEARCH,), chosen_pools={"tuner": "gke-l4", "trainer": "gke-l4"})
    assert nodes(made)["tuner-to-trainer"] == ["Tuner", "Trainer"]
    assert {"tuner_to_trainer_node_selector", "tuner_to_trainer_tolerations"} <= set(made.parameters)


def test_a_trainer_on_several_machines_starts_its_job_from_a_pod_of_its_own() -> None:
    made = grouped(parameters=(SEARCH,), chosen_pools={"trainer": "a100-nodes-4", "tuner": "a100-nodes-4"})
    assert nodes(made)["trainer"] == ["Trainer"] and nodes(made)["tuner"] == ["Tuner"]
    assert "--train-job" in container(made, "trainer")["args"]


def test_no_pod_that_runs_a_workloads_code_sees_the_signing_key() -> None:
    made = grouped(site=SIGNED)
    assert nodes(made)["pusher"] == ["Pusher"] and nodes(made)["baseline-to-infra-validator"] == JUDGED[:3]
    keys = {label: "TRAINYARD_SIGNING_KEY" in str(pod.get("secretAsEnv")) for label, pod in made.platform.items()}
    assert [label for label, has in keys.items() if has] == ["exec-pusher"]


def test_a_pod_is_big_enough_for_each_of_its_nodes() -> None:
    resources = ("resources.Transform={memory: 6Gi}", "resources.Trainer={cpu: 3, memory: 5000Mi}")
    pools = {"cpu": Pool(deadline_minutes=30, retries=5)}
    made = grouped(parameters=resources, pools=pools)
    task = made.tasks["transform-to-trainer"]
    asked = container(made, "transform-to-trainer")["resources"]
    assert (asked["resourceCpuRequest"], asked["resourceMemoryLimit"]) == ("3", "6Gi")
    assert task["retryPolicy"]["maxRetryCount"] == 5
    assert made.platform["exec-transform-to-trainer"]["activeDeadlineSeconds"] == str(30 * 60)
    names = {one["name"] for one in container(made, "transform-to-trainer")["env"]}
    assert "TRAINYARD_CHECKPOINTS" in names
    labels = made.platform["exec-transform-to-trainer"]["podMetadata"]["labels"]
    assert labels["trainyard.dev/node"] == "Transform-to-Trainer"


@pytest.mark.parametrize("workload", sorted(SHIPPED))
def test_every_use_case_runs_all_of_its_nodes_once(workload: str) -> None:
    each = Compiled(compile_workload(CompileRequest(workload, load_site(DEFAULT_FILE), load_pools())))
    made = grouped(workload)
    assert sorted(itertools.chain(*nodes(made).values())) == sorted(itertools.chain(*nodes(each).values()))
    assert len(made.tasks) == 3


def test_nodes_that_show_the_same_name_are_told_apart() -> None:
    shared = ["SchemaImporter", "Judge", "Origin", "ColumnarExampleGen"]
    assert grouping.output_name(shared, "Judge", "model") == "judge_model"
    assert grouping.output_name(shared, "ColumnarExampleGen", "examples") == "examples"


def test_from_the_command_line(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "taxi.yaml"
    assert cli.main(["compile", "taxi", "-o", str(file), "--check", "--tasks", "grouped"]) == 0
    text = file.read_text()
    assert len(Compiled(text).tasks) == 3
    argv = KubeflowDouble(text, {}).argv("transform-to-trainer", "r", epochs=3)
    assert "--param=epochs=3" in argv and argv.count("--node") == argv.count("--spec") == 2
    with pytest.raises(SystemExit) as refused:
        cli.main(["compile", "taxi", "-o", str(file), "--tasks", "some"])
    assert refused.value.code == 2 and "invalid choice: 'some'" in capsys.readouterr().err
