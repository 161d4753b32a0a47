"""The trigger in asyncio, as a triggerer runs it."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from typing import Any

import pytest

from airflow_kubeflow.hooks.kubeflow import KubeflowHook
from airflow_kubeflow.triggers.kubeflow import KubeflowRunTrigger
from tests.airflow_kubeflow.kubeflow_server import DONE, RUNNING, TOKEN, KubeflowServer
from tests.airflow_kubeflow.test_hook import create


@pytest.fixture
def run_id(kubeflow: KubeflowServer) -> str:
    kubeflow.steer(script=[RUNNING])
    with KubeflowHook() as hook:
        return create(hook)


def trigger(run_id: str, **arguments: Any) -> KubeflowRunTrigger:
    one = KubeflowRunTrigger("kubeflow_default", run_id, **{"poll_interval": 0.05, **arguments})
    path, stored = one.serialize()
    assert path == "airflow_kubeflow.triggers.kubeflow.KubeflowRunTrigger"
    return KubeflowRunTrigger(**json.loads(json.dumps(stored)))  # as Airflow stores it, and makes it again


def events(one: KubeflowRunTrigger) -> list[Any]:
    async def all_of_them() -> list[Any]:
        return [event.payload async for event in one.run()]

    return asyncio.run(all_of_them())


def test_fires_once_when_the_run_ends(kubeflow: KubeflowServer, run_id: str) -> None:
    kubeflow.end(**DONE)
    (event,) = events(trigger(run_id))
    assert event["kind"] == "ended" and event["run"]["state"] == "SUCCEEDED"
    assert json.loads(json.dumps(event)) == event


def test_arguments_hold_no_token(kubeflow: KubeflowServer, run_id: str) -> None:
    assert TOKEN not in repr(trigger(run_id)) and TOKEN not in json.dumps(trigger(run_id).serialize())


def test_deadline_terminates_the_run(kubeflow: KubeflowServer, run_id: str) -> None:
    soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=0.4)
    (event,) = events(trigger(run_id, deadline=soon.isoformat(), poll_interval=60))
    assert event["kind"] == "overdue" and kubeflow.runs[0]["state"] == "CANCELING"


def test_access_that_is_lost(kubeflow: KubeflowServer, run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = trigger(run_id)
    kubeflow.steer(token="renewed")
    (event,) = events(one)
    assert (
        event["kind"] == "refused" and "401" in event["error"] and kubeflow.runs[0]["state"] in ("PENDING", "RUNNING")
    )

    async def renewed_in_time() -> Any:
        waiting = asyncio.create_task(anext(trigger(run_id, poll_interval=0.3).run()))
        await asyncio.sleep(0.15)  # the first look is refused
        monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", kubeflow.connection(password="renewed"))
        await asyncio.to_thread(kubeflow.end, **DONE)
        return (await waiting).payload

    monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", kubeflow.connection())
    assert asyncio.run(renewed_in_time())["kind"] == "ended"


def test_a_person_ends_the_task(kubeflow: KubeflowServer, run_id: str) -> None:
    asyncio.run(trigger(run_id, terminate_on_kill=False).on_kill())
    assert kubeflow.runs[0]["state"] == "PENDING"
    asyncio.run(trigger(run_id).on_kill())
    assert kubeflow.runs[0]["state"] == "CANCELING"


def test_airflow_cancels_on_kill_while_it_works(
    kubeflow: KubeflowServer, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KubeflowRunTrigger, "_still_deferred", lambda self: time.sleep(0.3))

    async def cancelled_again() -> None:
        killing = asyncio.create_task(trigger(run_id).on_kill())
        await asyncio.sleep(0.1)
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        while kubeflow.runs[0]["state"] == "PENDING":
            await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(cancelled_again(), 20))
    assert kubeflow.runs[0]["state"] == "CANCELING"


def test_what_another_triggerer_took_over_goes_on(
    kubeflow: KubeflowServer, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KubeflowRunTrigger, "_still_deferred", lambda self: True)
    asyncio.run(trigger(run_id).on_kill())
    assert kubeflow.runs[0]["state"] == "PENDING"


def test_killed_after_it_fired(kubeflow: KubeflowServer, run_id: str) -> None:
    one = trigger(run_id, patience=0)
    kubeflow.steer(refusals=[503] * 4)
    assert [event["kind"] for event in events(one)] == ["away"]
    asyncio.run(one.on_kill())
    assert kubeflow.runs[0]["state"] == "PENDING", "the next try is to watch it on"
