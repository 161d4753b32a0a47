"""The loop through a real scheduler, triggerer and API server: what lands is trained, released, deployed or refused."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import httpx
import pytest

from embedded.airflow_api import DagRun
from embedded.processes import start_time_of
from model_store import ModelStore
from tests.embedded.conftest import Running, wait_for

pytestmark = pytest.mark.slow
GATES = ("check_schema", "check_quality", "check_drift")


def labels(platform: Running) -> dict[str, int]:
    return ModelStore(platform.home.folder / "models").labels("taxi")


def _states(platform: Running, run: DagRun) -> dict[str, str | None]:
    return {task.task_id: task.state for task in platform.api.tasks(run)}


def test_span_is_trained_released_and_deployed(platform: Running) -> None:
    platform.land(1)
    run = platform.next_run("retrain_taxi")
    state, tasks = platform.finished(run)
    assert (state, tasks.pop("next_span")) == ("success", "skipped")
    assert tasks == dict.fromkeys(("resolve_span", "read_data", *GATES, "train", "release"), "success")
    assert any("Trainer" in line for line in platform.api.log_lines(run, "train")), "stderr is streamed"
    state, tasks = platform.finished(platform.next_run("deploy_taxi"))
    assert (state, tasks["promote"], tasks["roll_back"]) == ("success", "success", "skipped")
    assert labels(platform) == {"stable": 1}
    # Now, not earlier: Airflow's API answers 500 for events whose run it is just creating.
    (event,) = platform.api.events("taxi_released_model")
    assert (event["version"], event["metrics"]["overall"]["auc"]) == (1, pytest.approx(0.94))
    links = platform.api.links(run, "check_quality")
    assert set(links) == {"Report", "Data quality"}
    for url in (*links.values(), *event["reports"].values()):
        assert httpx.get(url, trust_env=False).status_code == 200, url


def test_model_that_is_not_blessed_skips_with_its_reason(platform: Running) -> None:
    platform.land(2, json.dumps({"blessed": False, "reasons": ["auc 0.71 is below 0.92"]}))
    run = platform.next_run("retrain_taxi")
    state, tasks = platform.finished(run)
    assert (state, tasks["release"]) == ("success", "skipped")
    assert any("auc 0.71 is below 0.92" in line for line in platform.api.log_lines(run, "release"))
    assert labels(platform) == {"stable": 1}


def test_input_that_needs_mending_is_not_retried(platform: Running) -> None:
    platform.land(3, json.dumps({"exit": 2, "reasons": ["fare, 17 rows: negative"]}))
    run = platform.next_run("retrain_taxi")
    state, tasks = platform.finished(run)
    assert (state, tasks["check_quality"], tasks["train"]) == ("failed", "failed", "upstream_failed")
    assert (tasks["read_data"], tasks["check_schema"], tasks["check_drift"]) == ("success",) * 3
    assert next(t.try_number for t in platform.api.tasks(run) if t.task_id == "check_quality") == 1
    assert any("fare, 17 rows: negative" in line for line in platform.api.log_lines(run, "check_quality"))
    steering = platform.home.folder / "data" / "taxi" / "span-3" / "outcome.json"
    steering.write_text(json.dumps({"blessed": False, "reasons": ["worse"]}))
    again = platform.next_run("retrain_taxi")
    assert platform.finished(again)[1]["check_quality"] == "success", "a span that is replaced in place is an event"
    platform.api.clear(run, "check_quality")
    wait_for(lambda: _states(platform, run)["check_quality"] == "success", 60, "the cleared gate looks again")
    assert platform.finished(run)[0] == "success"
    os.utime(steering)
    twice = platform.next_run("retrain_taxi")
    assert platform.finished(twice)[1]["resolve_span"] == "skipped", "the same bytes again"


@pytest.mark.parametrize(
    ("span", "behaviour", "reason"),
    [
        (4, {"answer": "nan"}, "NaN"),
        (5, {"label": "0"}, "max_changed_answers"),
        (6, {"load": "fails"}, "cannot load"),
    ],
)
def test_bad_canary_is_rolled_back_and_the_run_fails(
    platform: Running, span: int, behaviour: dict[str, str], reason: str
) -> None:
    platform.land(span, json.dumps({"behaviour": behaviour}))
    assert platform.finished(platform.next_run("retrain_taxi"))[0] == "success"
    run = platform.next_run("deploy_taxi")
    state, tasks = platform.finished(run)
    assert (state, tasks["roll_back"], tasks["announce_deployment"]) == ("failed", "success", "upstream_failed")
    failed = next(name for name, task_state in tasks.items() if task_state == "failed")
    assert any(reason in line for line in platform.api.log_lines(run, failed))
    assert labels(platform) == {"stable": 1}, "the canary label is gone, stable was never touched"
    history = ModelStore(platform.home.folder / "models").history("taxi")
    assert any(failed in entry.reason for entry in history), "the store's history names the step that failed"


def test_marking_a_run_failed_ends_the_pipeline(platform: Running) -> None:
    platform.land(7, json.dumps({"seconds": 300}))
    run = platform.next_run("retrain_taxi")
    lines: list[str] = []

    def training() -> bool:
        lines[:] = [x for x in platform.api.log_lines(run, "train") if x.startswith("pid ")]
        return bool(lines)

    wait_for(training, 60, "the pipeline trains")
    pid = int(lines[0].split()[1])
    assert os.getpgid(pid) == pid, "it leads a group of its own"
    platform.api.set_state(run, "train", "failed")
    wait_for(lambda: start_time_of(pid) is None, 30, "the pipeline has ended")
    assert platform.finished(run)[0] == "failed"


def test_spans_that_land_while_one_is_trained_are_trained_on_in_order_and_once(platform: Running) -> None:
    platform.land(8, json.dumps({"seconds": 20, "blessed": False, "reasons": ["worse"]}))
    first = platform.next_run("retrain_taxi")
    wait_for(lambda: any(x.startswith("pid ") for x in platform.api.log_lines(first, "train")), 60, "it trains")
    for span in (9, 10):
        platform.land(span, json.dumps({"blessed": False, "reasons": ["worse"]}))
        time.sleep(6)
    assert platform.finished(first)[0] == "success" and platform.api.result(first, "resolve_span") == 8
    trained = []
    for run in platform.rest_of("retrain_taxi"):
        state, tasks = platform.finished(run)
        assert state == "success"
        if tasks["train"] == "success":
            trained.append(platform.api.result(run, "resolve_span"))
    assert trained == [9, 10], "whatever Airflow made of the two events; a run for the rest finds nothing new"


def test_span_that_comes_twice_and_one_that_comes_late_are_skipped(platform: Running) -> None:
    platform.api.post_event("taxi_data", {"spans": [10]})
    run = platform.next_run("retrain_taxi")
    assert platform.finished(run)[1]["resolve_span"] == "skipped"
    assert any("trained on before" in line for line in platform.api.log_lines(run, "resolve_span"))
    platform.land(0)
    run = platform.next_run("retrain_taxi")
    assert platform.finished(run)[1]["resolve_span"] == "skipped"
    assert any("arrived late: the newest is 10" in line for line in platform.api.log_lines(run, "resolve_span"))


def test_backfill_trains_each_span_in_order(platform: Running) -> None:
    run = platform.api.trigger("backfill", {"workload": "taxi", "spans": "1-3"})
    assert platform.finished(run)[0] == "success"
    runs = [platform.next_run("retrain_taxi") for _ in range(3)]
    for one in runs:
        platform.finished(one)
    assert [one.run_id.rpartition("_")[2] for one in runs] == ["1", "2", "3"]
    assert [platform.api.result(one, "resolve_span") for one in runs] == [1, 2, 3]


def test_deploying_by_hand_takes_a_version_and_refuses_an_unknown_one(platform: Running) -> None:
    run = platform.api.trigger("deploy_taxi", {"version": 99})
    platform._seen.add(run.run_id)
    state, tasks = platform.finished(run)
    assert (state, tasks["resolve_release"], tasks["roll_back"]) == ("failed", "failed", "success")
    assert any("no release 99" in line for line in platform.api.log_lines(run, "resolve_release"))


def test_triggerer_that_is_killed_does_not_fire_again(platform: Running) -> None:
    runs = len(platform.api.runs("retrain_taxi"))
    pid = int((platform.home.paths.pids / "triggerer.pid").read_text().split()[0])
    os.kill(pid, 9)
    pid_file = Path(platform.home.paths.pids / "triggerer.pid")
    wait_for(lambda: pid_file.read_text().split()[0] != str(pid), 30, "the triggerer is started again")
    wait_for(lambda: "healthy" in platform.home.run("status").stdout.split("triggerer")[1][:20], 60, "it is healthy")
    time.sleep(8)
    assert len(platform.api.runs("retrain_taxi")) == runs
