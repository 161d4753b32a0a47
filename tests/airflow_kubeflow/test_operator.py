"""The operator's tries, one after the other, against KFP's double; deferral itself: test_dag_test.py and test_platform.py."""

from __future__ import annotations

import asyncio
import datetime
import types
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_kubeflow.exceptions import KubeflowRunFailed, KubeflowRunTimeout, KubeflowUnavailable, KubeflowUserError
from airflow_kubeflow.hooks.kubeflow import KubeflowHook
from airflow_kubeflow.operators.kubeflow import KubeflowPipelineRunOperator
from airflow_kubeflow.triggers.kubeflow import KubeflowRunTrigger
from tests.airflow_kubeflow.kubeflow_server import CREATE, DONE, EXAMPLE, RUNNING, KubeflowServer


class StateStore:
    """Stands in for Airflow's, which outlives a try."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any) -> None:
        self.values[key] = value


class TaskInstance:
    """Stands in for Airflow's: what a try is told about itself."""

    def __init__(self, max_tries: int = 2) -> None:
        self.dag_id, self.run_id, self.task_id, self.map_index = "taxi", "manual__1", "train", -1
        self.max_tries = max_tries
        self.xcom: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcom[key] = value


def operator(**arguments: Any) -> KubeflowPipelineRunOperator:
    given = {"task_id": "train", "parameters": {"span": "7"}, "poll_interval": 0.05, "deferrable": False, **arguments}
    if "pipeline_id" not in given:
        given.setdefault("pipeline_file", str(EXAMPLE))
    return KubeflowPipelineRunOperator(**given)


def context(store: StateStore | None = None, max_tries: int = 2) -> Any:
    """What one try gets."""
    dag_run = types.SimpleNamespace(start_date=datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC))
    return {"ti": TaskInstance(max_tries), "dag_run": dag_run, "task_state_store": store or StateStore()}


def deferred(one: KubeflowPipelineRunOperator, given: Any) -> str:
    """Runs a try until it defers; the run's id."""
    with pytest.raises(TaskDeferred) as handed:
        one.execute(given)
    return str(handed.value.trigger.run_id)


def test_a_run_to_its_end(kubeflow: KubeflowServer, capsys: pytest.CaptureFixture[str]) -> None:
    kubeflow.steer(script=[RUNNING, {"": "RUNNING", "prepare": "SUCCEEDED", "train": "RUNNING"}, DONE])
    given = context()
    result = operator(service_account="robot", experiment="rides", run_name="taxi 7").execute(given)
    run = kubeflow.runs[0]
    assert result["run_id"] == run["run_id"] and result["state"] == "SUCCEEDED"
    assert result["tasks"] == {"prepare": "SUCCEEDED", "train": "SUCCEEDED"}
    assert result["ui"] == f"https://kubeflow.example.com/_/pipeline/#/runs/details/{run['run_id']}"
    assert result["ui"] == given["ti"].xcom["kubeflow_ui"]
    assert run["display_name"].startswith("taxi 7 (airflow-") and run["service_account"] == "robot"
    assert run["runtime_config"]["parameters"] == {"span": 7}, "the template's text became the integer it says"
    logged = capsys.readouterr().out
    assert "prepare RUNNING" in logged and "train RUNNING -> SUCCEEDED 1m30s" in logged


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            {"parameters": {"span": 7, "spam": 1}},
            "has no parameter 'spam'. It has: deep, layers, note, options, rate, span",
        ),
        ({"parameters": {"span": "seven"}}, "parameter 'span': an integer. Received: 'seven'"),
        ({"parameters": {}}, "parameter 'span' has no default"),
        ({"pipeline_file": "/no/such.yaml"}, "'/no/such.yaml' cannot be read on this machine: No such file"),
        ({"pipeline_id": "nosuch"}, "pipeline nosuch has no versions"),
        ({"namespace": "team-a"}, None),
    ],
)
def test_what_a_person_has_to_mend_fails_at_once(kubeflow: KubeflowServer, arguments: Any, told: str | None) -> None:
    if told is None:  # a namespace where there is one user is left out
        operator(**arguments).execute(context())
        return
    with pytest.raises(AirflowFailException) as error:
        operator(**arguments).execute(context())
    assert told in str(error.value) and "\n" not in str(error.value)
    assert kubeflow.count(CREATE) == 0


def test_a_version_that_was_uploaded(kubeflow: KubeflowServer) -> None:
    import yaml

    pipeline, platform = yaml.safe_load_all(EXAMPLE.read_text())
    for spec in ({"pipeline_spec": pipeline, "platform_spec": platform}, pipeline):
        newest = kubeflow.steer(version={"pipeline_id": "p", "pipeline_spec": spec})["pipeline_version_id"]
    operator(pipeline_id="p").execute(context())
    assert kubeflow.runs[0]["pipeline_version_reference"] == {"pipeline_id": "p", "pipeline_version_id": newest}
    with pytest.raises(KubeflowUserError, match="an integer"):
        operator(pipeline_id="p", parameters={"span": 1.5}).execute(context())


def test_caching_as_asked(kubeflow: KubeflowServer) -> None:
    operator(enable_caching=False).execute(context())
    tasks = kubeflow.runs[0]["pipeline_spec"]["pipeline_spec"]["root"]["dag"]["tasks"]
    assert [task["cachingOptions"] for task in tasks.values()] == [{}, {}]


def test_an_error_names_tasks_and_link(kubeflow: KubeflowServer) -> None:
    kubeflow.steer(
        script=[{"": "FAILED", "prepare": "SUCCEEDED", "train": "FAILED: The node was low on memory: evicted"}]
    )
    with pytest.raises(KubeflowRunFailed, match=r"failed in train: The node was low .* https://kubeflow.example.com"):
        operator().execute(context())
    kubeflow.steer(script=[{"": "FAILED", "train": "FAILED: main: Error (exit code 2)"}])
    with pytest.raises(AirflowFailException, match="Not retried, the input needs mending"):
        operator().execute(context())
    kubeflow.steer(script=[{"": "CANCELED"}])
    with pytest.raises(AirflowFailException, match="ended by somebody"):
        operator().execute(context(max_tries=4))


def test_a_try_goes_on_with_the_run_that_is_there(kubeflow: KubeflowServer) -> None:
    kubeflow.steer(script=[RUNNING])
    store = StateStore()
    first = deferred(operator(deferrable=True), context(store))
    assert deferred(operator(deferrable=True), context(store)) == first
    assert deferred(operator(deferrable=True), context(StateStore())) == first, "killed before it wrote the id down"
    kubeflow.end(**DONE)
    assert operator(deferrable=True).execute(context(store))["run_id"] == first, "it ended while nobody looked"
    assert operator(deferrable=True).execute(context())["run_id"] == first
    assert kubeflow.count(CREATE) == 1


def test_after_a_failed_run_a_fresh_one(kubeflow: KubeflowServer) -> None:
    store = StateStore()
    kubeflow.steer(script=[{"": "FAILED", "train": "FAILED"}])
    with pytest.raises(KubeflowRunFailed):
        operator().execute(context(store))
    kubeflow.steer(script=[DONE])
    assert operator().execute(context(store))["state"] == "SUCCEEDED"
    first, second = kubeflow.runs
    same = ("pipeline_spec", "runtime_config", "experiment_id", "service_account")
    # So a pipeline whose tasks answer from a cache goes on where the failed run ended.
    assert [first.get(one) for one in same] == [second.get(one) for one in same] and kubeflow.count(CREATE) == 2


def test_a_refused_input_stays_refused(kubeflow: KubeflowServer) -> None:
    """Airflow's scheduler can start a next try of a task that asked for none, when it misses how the try ended."""
    kubeflow.steer(script=[{"": "FAILED", "train": "FAILED: main: Error (exit code 2)"}])
    store = StateStore()
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="the input needs mending"):
            operator().execute(context(store))
    assert kubeflow.count(CREATE) == 1
    kubeflow.steer(script=[DONE])
    assert operator().execute(context(store, max_tries=5))["state"] == "SUCCEEDED", "cleared after mending"


def test_a_cleared_task_starts_afresh_and_ends_the_run_before(kubeflow: KubeflowServer) -> None:
    kubeflow.steer(script=[RUNNING])
    store = StateStore()
    first = deferred(operator(deferrable=True), context(store, max_tries=2))
    second = deferred(operator(deferrable=True), context(store, max_tries=3))
    states = {run["run_id"]: run["state"] for run in kubeflow.runs}
    assert second != first and states == {first: "CANCELING", second: "PENDING"}


def test_an_event_of_the_run_before_is_not_taken_for_this_tasks(kubeflow: KubeflowServer) -> None:
    """Airflow on SQLite gives ids of triggers twice: a cleared task can be told what became of its run before."""
    kubeflow.steer(script=[RUNNING])
    store = StateStore()
    first = deferred(operator(deferrable=True), context(store, max_tries=2))
    one, given = operator(deferrable=True), context(store, max_tries=3)
    second = deferred(one, given)
    told = asyncio.run(anext(KubeflowRunTrigger("kubeflow_default", first, poll_interval=0.05).run())).payload
    assert told["run"]["state"] == "CANCELED"
    with pytest.raises(TaskDeferred) as again:
        one.execute_complete(given, told)
    assert again.value.trigger.run_id == second and kubeflow.count(CREATE) == 2
    kubeflow.end(second, **DONE)
    told = asyncio.run(anext(KubeflowRunTrigger("kubeflow_default", second, poll_interval=0.05).run())).payload
    assert one.execute_complete(given, told)["run_id"] == second


def test_a_run_whose_answer_was_lost_is_found(kubeflow: KubeflowServer) -> None:
    kubeflow.steer(script=[RUNNING], lose_answers=1)
    deferred(operator(deferrable=True), context())
    assert kubeflow.count(CREATE) == 1 and len(kubeflow.runs) == 1


def test_a_request_that_was_acted_on_late_leaves_one_run(
    kubeflow: KubeflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeflow.steer(script=[RUNNING])
    first = deferred(operator(deferrable=True), context())
    real, looks = KubeflowHook.find_runs, iter((True, False))
    # The first look comes before KFP has acted on the earlier request.
    monkeypatch.setattr(KubeflowHook, "find_runs", lambda *given: [] if next(looks) else real(*given))
    assert deferred(operator(deferrable=True), context()) == first
    assert sorted(run["state"] for run in kubeflow.runs) == ["CANCELING", "PENDING"]


def test_tasks_do_not_take_each_others_runs(kubeflow: KubeflowServer) -> None:
    kubeflow.steer(script=[RUNNING])
    mapped = [context() for _ in range(3)]
    for index, given in enumerate(mapped):
        given["ti"].map_index = index
    other_airflow = context()
    other_airflow["dag_run"].start_date += datetime.timedelta(microseconds=1)
    ids = {deferred(operator(deferrable=True), given) for given in (*mapped, context(), other_airflow)}
    assert len(ids) == 5


def test_kfp_away_for_a_while_and_for_too_long(kubeflow: KubeflowServer) -> None:
    kubeflow.steer(script=[RUNNING, DONE])
    store = StateStore()
    first = operator()
    kubeflow.steer(refusals=[None] * 6 + [503] * 6)  # longer than the hook's own retries
    assert first.execute(context(store))["state"] == "SUCCEEDED"
    kubeflow.steer(script=[RUNNING], refusals=[None] * 6 + [503] * 50)
    with pytest.raises(KubeflowUnavailable, match="The run goes on"):
        operator(patience=0.2).execute(context(max_tries=9))
    assert kubeflow.runs[-1]["state"] == "RUNNING"


def test_over_its_deadline(kubeflow: KubeflowServer) -> None:
    kubeflow.steer(script=[RUNNING])
    with pytest.raises(KubeflowRunTimeout, match="was not done by 20"):
        operator(timeout=0.5).execute(context())
    assert kubeflow.runs[0]["state"] == "CANCELING"


def test_killed_while_it_waits_in_the_worker(kubeflow: KubeflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeflow.steer(script=[RUNNING])
    one = operator()
    monkeypatch.setattr(one, "_sleep", lambda seconds, sleep=one._sleep: (one.on_kill(), sleep(seconds)))
    with pytest.raises(KubeflowRunFailed, match=r"Ended; run .* was terminated"):
        one.execute(context())
    assert kubeflow.runs[0]["state"] == "CANCELING"


def test_killed_while_it_submits(kubeflow: KubeflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeflow.steer(script=[RUNNING])
    one, real = operator(deferrable=True), KubeflowHook.create_run
    monkeypatch.setattr(KubeflowHook, "create_run", lambda *given: (one.on_kill(), real(*given))[1])
    with pytest.raises(KubeflowRunFailed, match="it was terminated"):
        one.execute(context())
    assert kubeflow.runs[0]["state"] == "CANCELING"


@pytest.mark.parametrize(
    "arguments",
    [{"pipeline_id": "p", "pipeline_file": "f"}, {"pipeline_file": None}, {"pipeline_id": "p", "enable_caching": True}],
)
def test_arguments_that_contradict_each_other(arguments: Any) -> None:
    with pytest.raises(ValueError, match="train: "):
        operator(**arguments)
