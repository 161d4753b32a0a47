"""The steps of a deployment against the real model store and, over HTTP, the real model server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from dags import deployment
from dags.deployment import Deployment, DeploymentRefused
from dags.deployment.requests import golden_requests
from dags.deployment.watch import CanaryTrigger
from dags.release_choice import choose_release
from model_store import Label, ModelStore, ReleaseDraft
from tests.dags.deployment.conftest import ROW, VERSIONS, Traffic, serving

said: list[str] = []


@pytest.fixture(autouse=True)
def _forget() -> None:
    said.clear()


def deploy(version: int, previous: int | None = 1, **changes: object) -> Deployment:
    return Deployment("taxi", serving(**changes), version, previous)


def test_good_release_goes_through_the_steps_under_traffic(store: ModelStore, traffic: Callable[[], Traffic]) -> None:
    release = deploy(2, max_changed_answers=0.0)
    assert deployment.verify("taxi", 2) == store.release("taxi", 2).digest
    with traffic() as clients:
        release.load("test", said.append)
        assert store.label_details("taxi")["canary"] == Label(2, 0.0)
        assert (release.compare(said.append).changed_share) == 0.0
        begun = json.loads(json.dumps(release.begin_step(0.5, "test", said.append)))
        while not (verdict := release.look(begun)).proven:
            time.sleep(0.2)
        assert verdict.reasons == ()
        assert release.end_step(begun, said.append)["judged_by"] == "traffic"
        release.promote("test", said.append)
        release.promote("again, after a crash", said.append)
    assert set(clients.statuses) == {200}
    assert store.label_details("taxi") == {"stable": Label(2)}
    assert release.roll_back("test", said.append) == ["stable is version 1 again"]
    assert release.roll_back("again", said.append) == [], "nothing is left to undo"
    assert store.rolled_back("taxi", 2) is not None


@pytest.mark.parametrize(
    ("name", "limits", "reason"),
    [
        ("moody", {}, r"have drifted from stable's by 0\.\d+ \(Jensen-Shannon\)"),
        ("failing", {}, r"requests of the canary failed; canary.limits.error_rate allows 1.0%"),
        ("broken", {}, r"requests of the canary failed"),
        ("slow", {"p99_ms": 250, "prediction_drift": 1}, r"99th percentile is \d+ ms; canary.limits.p99_ms allows 250"),
    ],
)
def test_bad_canary_loses_its_traffic_and_no_caller_an_answer(
    store: ModelStore, traffic: Callable[[], Traffic], name: str, limits: dict[str, float], reason: str
) -> None:
    release = deploy(VERSIONS[name], limits=limits)
    with traffic() as clients:
        store.set_label("taxi", "canary", release.version, reason="test", actor="test")
        deployment.wait_until_served("taxi", "canary", release.version, 60)
        begun = release.begin_step(0.5, "test", said.append)
        path, arguments = CanaryTrigger(
            "taxi", release.serving.model_dump(mode="json"), {"version": release.version, "previous": 1}, begun, 5
        ).serialize()
        assert path == "dags.deployment.watch.CanaryTrigger"
        trigger = CanaryTrigger(**json.loads(json.dumps(arguments)))
        event = asyncio.run(asyncio.wait_for(anext(trigger.run()), 60))
        assert store.label_details("taxi")["canary"] == Label(release.version, 0.0), "before Airflow even knows"
        before = httpx.get(f"{deployment.server_url()}/metrics").text
        assert 'trainyard_serving_canary_share{model="taxi"} 0.0' in before, "the server has taken it up"
        release.roll_back("test", said.append)
        assert store.labels("taxi") == {"stable": 1}
    assert deployment_reason(event.payload, reason)
    assert set(clients.statuses) == {200}, "0 failed requests"
    entry = store.rolled_back("taxi", release.version)
    assert entry is not None and entry.action == "withdraw canary"


def deployment_reason(payload: object, pattern: str) -> bool:
    import re

    assert isinstance(payload, dict)
    return any(re.search(pattern, reason) for reason in payload["reasons"])


def test_too_little_traffic_is_said_and_sample_requests_judge(store: ModelStore) -> None:
    release = deploy(2)
    release.load("test", said.append)
    verdict = release.end_step(release.begin_step(0.1, "test", said.append), said.append)
    assert (verdict["judged_by"], verdict["comparison"]["source"]) == ("sample requests", "golden")
    assert any("too little traffic" in line for line in said)
    moody = deploy(3, max_changed_answers=0.15)
    moody.load("test", said.append)
    with pytest.raises(DeploymentRefused, match=r"max_changed_answers allows 15.0%"):
        moody.end_step(moody.begin_step(0.1, "test", said.append), said.append)
    assert moody.roll_back("test", said.append) == ["removed the canary label from version 3"]


def test_shadow_asks_what_callers_have_asked(
    store: ModelStore, served: tuple[ModelStore, str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_RECORD", str(served[2]))
    rows = [{**ROW, "fare": 100.0 + n} for n in range(12)]
    assert httpx.post(f"{served[1]}/v1/models/taxi:predict", json={"instances": rows}).status_code == 200
    release = deploy(2)
    release.load("test", said.append)
    deadline = time.monotonic() + 30
    while "112" not in str(deployment_rows(store)) and time.monotonic() < deadline:
        time.sleep(0.1)
    comparison = release.compare(said.append)
    assert (comparison.source, comparison.changed_share) == ("recent", 0.0)
    assert comparison.requests >= 12


def deployment_rows(store: ModelStore) -> list[object]:
    from dags.deployment.requests import recent_requests

    rows = recent_requests(store, "taxi", 2)
    return [row["fare"] + 1 for row in rows]


def test_answers_that_are_no_numbers_are_refused(store: ModelStore) -> None:
    with pytest.raises(DeploymentRefused, match="with NaN or infinity"):
        deploy(4).load("test", said.append)


def test_release_that_fails_every_request_is_refused(store: ModelStore) -> None:
    with pytest.raises(DeploymentRefused, match=r"taxi \(canary\) refused a sample request: 500"):
        deploy(5).load("test", said.append)


def test_first_deployment_has_nothing_to_compare_with(store: ModelStore) -> None:
    release = deploy(2, previous=None, max_changed_answers=0.0)
    release.load("test", said.append)
    comparison = release.compare(said.append)
    assert (comparison.changed_share, comparison.stable_median_ms) == (None, None)
    assert "First deployment" in said[-1]


def test_slow_release_is_refused(store: ModelStore) -> None:
    with pytest.raises(DeploymentRefused, match=r"ms at the median; serving.latency_budget_ms allows 50 ms"):
        deploy(6, latency_budget_ms=50).load("test", said.append)


def test_going_back_by_hand(store: ModelStore) -> None:
    deploy(2).promote("test", said.append)
    chosen = choose_release("taxi", {"action": "rollback"}, {})
    assert (chosen["version"], chosen["previous"]) == (1, 2)
    deploy(1, previous=2).go_back_to("test", said.append)
    assert store.labels("taxi") == {"stable": 1}
    with pytest.raises(DeploymentRefused, match=r"taxi/2 was rolled back before.*force: true"):
        choose_release("taxi", {"version": 2}, {})
    assert choose_release("taxi", {"version": 2, "force": True}, {})["despite"].startswith("taxi/2 was")
    with pytest.raises(DeploymentRefused, match="there is no stable release before 1"):
        choose_release("taxi", {"action": "rollback"}, {})


def test_no_server_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_SERVER", "http://127.0.0.1:9")
    with pytest.raises(TimeoutError, match=r"did not serve version 1 within 0 s. Last answer: no answer"):
        deployment.wait_until_served("taxi", "stable", 1, 0)


def test_changed_file_and_missing_golden_requests_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_STORE", str(tmp_path / "models"))
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "saved_model.pb").write_bytes(b"graph")
    store = ModelStore(tmp_path / "models")
    release = store.publish("taxi", tmp_path / "export", ReleaseDraft(publication_key="1", task="binary"))
    with pytest.raises(DeploymentRefused, match=r"has no assets\.extra/golden_requests\.json"):
        golden_requests(store, "taxi", 1)
    Path(release.uri, "saved_model.pb").chmod(0o644)
    Path(release.uri, "saved_model.pb").write_bytes(b"grapf")
    with pytest.raises(DeploymentRefused, match="is not what was published"):
        deployment.verify("taxi", 1)


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ({"label": "1", "probability": 0.9}, {"label": "1", "probability": 0.6}, False),
        ({"label": "1", "probability": 0.51}, {"label": "0", "probability": 0.49}, True),
        (10.0, 10.9, False),
        (10.0, 11.1, True),
        ([1.0, 2.0], [1.0, 2.5], True),
        ([10.0, 0.1], [10.0, 0.2], False),  # of a picture or a code, how far it moved as a whole
        (
            {"items": ["a", "b", "c", "d"], "scores": [0.4, 0.3, 0.2, 0.1]},
            {"items": ["b", "a", "x", "d"], "scores": [0.9, 0.8, 0.7, 0.6]},
            False,
        ),
        (
            {"items": ["a", "b", "c", "d"], "scores": [0.4, 0.3, 0.2, 0.1]},
            {"items": ["x", "y", "z", "d"], "scores": [0.4, 0.3, 0.2, 0.1]},
            True,
        ),
        ({"items": ["a", "b", "", ""]}, {"items": ["b", "a", "", ""]}, False),
        ([1, 2, 3], [1, 2, 3, 4], True),
        ({"mask": [[0] * 9, [1] * 9]}, {"mask": [[0] * 9, [1] * 8 + [2]]}, False),  # one pixel of eighteen
        ({"mask": [[0] * 9, [1] * 9]}, {"mask": [[0] * 9, [2] * 9]}, True),
        (
            {"shares": [0.5, 0.5], "mask_bytes": {"b64": "aa"}},
            {"shares": [0.51, 0.49], "mask_bytes": {"b64": "ab"}},
            False,
        ),
        (
            {"shares": [0.5, 0.5], "mask_bytes": {"b64": "aa"}},
            {"shares": [0.7, 0.3], "mask_bytes": {"b64": "ab"}},
            True,
        ),
        ({"mask_bytes": {"b64": "aa"}}, {"mask_bytes": {"b64": "ab"}}, True),
        (0.0, 0.0, False),
    ],
)
def test_what_counts_as_a_changed_answer(old: object, new: object, changed: bool) -> None:
    assert deployment.is_changed(old, new) is changed


def test_finite() -> None:
    assert deployment.is_finite({"probabilities": [0.1, 0.9], "label": "a"})
    for bad in ({"prediction": float("nan")}, [[1.0, float("inf")]], {"prediction": "NaN"}, None, {}):
        assert not deployment.is_finite(bad)
