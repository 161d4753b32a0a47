"""The double of KFP's API, and what reads its answers, held against what KFP answers (recorded/README.md)."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import kfp_server_api
import pytest

from pipelines.runners.kubeflow import messages, watching
from tests.pipelines.kubeflow import kubeflow_api_contract as contract
from tests.pipelines.kubeflow import kubeflow_api_double as double_module
from tests.pipelines.kubeflow.kubeflow_api_double import TOKEN, KubeflowApiDouble

RECORDED = pathlib.Path(__file__).parent / "recorded"
API = kfp_server_api.ApiClient()
TEMPLATE = "metadata-0-2-retry-system-container-impl"  # two labels, no annotation
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((RECORDED / f"{name}.json").read_text()))


def read(answer: dict[str, Any]) -> Any:
    class Answer:
        data = json.dumps(answer)

    return API.deserialize(Answer, "V2beta1Run")


def paths(value: Any, at: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{at}.{key}"
            yield from paths(inner, f"{at}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{at}[]")


@pytest.mark.parametrize("name", ["running", "failed", "terminated"])
def test_kfps_own_client_reads_the_records_without_loss(name: str) -> None:
    answer = recorded(name)
    assert list(contract.of_model("run", answer, "V2beta1Run")) == []
    again = API.sanitize_for_serialization(read(answer))
    assert set(paths(again)) == set(paths(answer))
    assert again["state_history"][-1]["state"] == answer["state"]


def test_the_double_answers_as_kfp_does() -> None:
    double = KubeflowApiDouble()
    double.script = [{"transform": "SUCCEEDED", "trainer-driver": "SUCCEEDED", "trainer": "RUNNING"}]
    run = double.add_run("taxi", pipeline_spec=recorded("failed")["pipeline_spec"])
    path = f"{double_module.PREFIX}/runs/{run.run_id}"
    known = {one for name in ("running", "failed", "terminated") for one in paths(recorded(name))}
    under_way = double.answer("GET", path, {}, AUTHORIZED, None)
    assert set(paths(under_way)) <= known
    double.answer("POST", f"{path}:terminate", {}, AUTHORIZED, None)
    ended = double.answer("GET", path, {}, AUTHORIZED, None)
    assert set(paths(ended)) <= known and ended["state"] == recorded("terminated")["state"] == "FAILED"
    states = [one["state"] for one in ended["state_history"]]
    assert states == [one["state"] for one in recorded("terminated")["state_history"]][1:]
    assert double.violations == []


def test_a_terminated_run_is_no_failure() -> None:
    states = {name: watching.state_of(read(recorded(name))) for name in ("running", "failed", "terminated")}
    assert states == {"running": "RUNNING", "failed": "FAILED", "terminated": "CANCELED"}
    result = watching.result_of(read(recorded("terminated")), "")
    assert result.status == "canceled" and result.error == "ended by somebody"


def test_the_pods_of_a_failed_task_are_found_by_argos_names() -> None:
    pods = messages.pods_of(read(recorded("failed")), "trainer")
    names = [pod[0] for pod in pods]
    assert names == [double_module.pod_name("trainer", attempt, TEMPLATE) for attempt in (2, 1, 0)]
    assert len(messages.pods_of(read(recorded("running")), "trainer")) == 1
    assert messages.pods_of(read({**recorded("failed"), "run_details": {}}), "trainer") == []


def test_a_task_that_is_never_retried_has_one_pod() -> None:
    run = recorded("failed")
    for task in run["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"].values():
        del task["retryPolicy"]
    workflow = double_module.WORKFLOW
    step = f"{workflow}.root.trainer.executor"
    ids = [{"pod_name": f"{workflow}-{messages.fnv32a(step)}"}]
    run["run_details"]["task_details"] = [{"display_name": "trainer", "state": "FAILED", "child_tasks": ids}]
    (pod,) = messages.pods_of(read(run), "trainer")
    assert pod[0] == f"{workflow}-metadata-0-2-system-container-impl-{messages.fnv32a(step)}"


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ({"new": "a\ntrainyard: Trainer: no memory\nI1121 launcher.go: exit status 1\n"}, "Trainer: no memory"),
        ({"old": "trainyard: first\n"}, f"first (an earlier attempt. The newest: {messages.GONE})"),
        ({"new-id": "trainyard: second\n", "old": "trainyard: first\n"}, "second"),
        ({"new": "Killed\nexit status 137\n"}, "its log has no line of ours; it ends with: exit status 137"),
        ({}, messages.GONE),
    ],
)
def test_why_a_task_failed(logs: dict[str, str], said: str) -> None:
    pods = [("new", "new-id"), ("old", "old-id")]
    assert messages.message(logs.get, pods) == said
