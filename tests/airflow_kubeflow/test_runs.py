from __future__ import annotations

import datetime
from typing import Any

import pytest

from airflow_kubeflow import runs
from airflow_kubeflow.watch import Watch

NEVER = "1970-01-01T00:00:00Z"


def detail(name: str, state: str, created: str = "2026-11-21T10:00:00Z", **more: Any) -> dict[str, Any]:
    over = "2026-11-21T10:03:12Z" if state in ("SUCCEEDED", "FAILED") else NEVER
    return {
        "display_name": name,
        "state": state,
        "create_time": created,
        "start_time": created,
        "end_time": over,
        **more,
    }


def run(*details: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "run_id": "1",
        "state": "RUNNING",
        "created_at": "2026-11-21T10:00:00Z",
        "run_details": {"task_details": details},
        **more,
    }


def test_tasks_in_the_order_of_the_file() -> None:
    graph = {"b": {"taskInfo": {"name": "Before"}}, "a": {"taskInfo": {"name": "After"}, "dependentTasks": ["b"]}}
    spec = {"pipeline_spec": {"root": {"dag": {"tasks": graph}}}}
    details = [
        detail("a", "RUNNING"),
        detail("a-driver", "SUCCEEDED"),
        detail("root", "RUNNING"),
        detail("b", "SUCCEEDED"),
    ]
    assert [task.name for task in runs.tasks(run(*details, pipeline_spec=spec))] == ["Before", "After"]
    assert [task.name for task in runs.tasks(run(*details))] == ["a", "b"], "KFP sends no file for a version"


def test_newest_attempt_counts() -> None:
    details = [detail("a", "RUNNING", "2026-11-21T10:00:09Z"), detail("a", "FAILED", "2026-11-21T10:00:00Z")]
    assert [(task.state, task.seconds) for task in runs.tasks(run(*details))] == [("RUNNING", None)]


def test_terminated_run_that_kfp_shows_as_failed() -> None:
    history = [{"state": "RUNNING"}, {"state": "CANCELING"}, {"state": "FAILED"}]
    assert runs.state(run(state="FAILED", state_history=history)) == "CANCELED"
    assert runs.state(run(state="FAILED", state_history=[{"state": "FAILED"}])) == "FAILED"
    assert runs.state({}) == "PENDING"


@pytest.mark.parametrize(
    ("message", "users"),
    [
        ("main: Error (exit code 2)", True),
        ("Error (exit code 1)", False),
        ("exit code 22", False),
        ("Error (exit code 2): pod was evicted", False),
        ("OOMKilled (exit code 137)", False),
        ("", False),
    ],
)
def test_who_has_to_act(message: str, users: bool) -> None:
    failed = run(detail("a", "FAILED", error={"message": message}), state="FAILED", finished_at="2026-11-21T10:30:00Z")
    summary = runs.summary(failed, "http://kfp")
    assert (summary["user_error"], summary["failed"], summary["error"], summary["seconds"]) == (
        users,
        ["a"],
        message,
        1800,
    )


def test_summary_is_json_of_kfps_own_shapes() -> None:
    outputs = {"model": {"artifact_ids": ["17"]}}
    history = [{"state": "FAILED", "error": {"message": "out\nof memory"}}]
    seen = run(detail("a", "SUCCEEDED", outputs=outputs), state="FAILED", state_history=history, run_details=None)
    assert runs.summary(seen, "")["error"] == "out of memory" and runs.summary(seen, "")["tasks"] == {}
    seen = run(detail("a", "SUCCEEDED", outputs=outputs))
    assert runs.summary(seen, "")["outputs"] == {"a": {"model": ["17"]}}


def test_progress_says_what_changed() -> None:
    lines: list[str] = []
    watch = Watch(lines.append, 10, None, 600)
    assert watch.seen(run(detail("a", "RUNNING")), "") is None
    assert watch.seen(run(detail("a", "RUNNING")), "") is None
    event = watch.seen(run(detail("a", "SUCCEEDED"), state="SUCCEEDED"), "")
    assert event is not None and event["kind"] == "ended"
    assert lines == ["a RUNNING", "Run 1 is RUNNING.", "a RUNNING -> SUCCEEDED 3m12s", "Run 1 is SUCCEEDED."]


def test_a_kfp_that_is_away() -> None:
    lines: list[str] = []
    watch = Watch(lines.append, 10, None, 3600)
    pauses = []
    for _ in range(6):
        assert watch.missed(RuntimeError("KFP does not answer.")) is None
        pauses.append(watch.pause)
    assert pauses == [20, 40, 80, 120, 120, 120] and len(lines) == 1
    watch.seen(run(), "")
    assert watch.pause == 10 and "Kubeflow answers again." in lines
    assert Watch(lines.append, 10, None, 0).missed(RuntimeError("x")) == {"kind": "away", "error": "x"}


def test_one_refusal_may_be_a_token_on_its_way() -> None:
    watch = Watch(lambda line: None, 10, None, 600)
    assert watch.refused(RuntimeError("401")) is None
    watch.seen(run(), "")
    assert watch.refused(RuntimeError("401")) is None
    assert watch.refused(RuntimeError("401")) == {"kind": "refused", "error": "401"}


def test_deadline_is_not_slept_over() -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    watch = Watch(lambda line: None, 60, soon, 600)
    assert 0 < watch.pause <= 2 and not watch.overdue
