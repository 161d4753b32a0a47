"""The steps of a deployment against the real model store and, over HTTP, the real model server."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dags import deployment
from dags.deployment import Comparison, DeploymentRefused
from model_store import ModelStore, ReleaseDraft

ROOT = Path(__file__).resolve().parents[2]
SERVING = ROOT / ".venv" / "serving" / "bin" / "python"
ROW = {"fare": 5.0, "miles": 1.0, "area": 3, "company": "A", "hour": 7}
# Three releases: as it should be; one that answers otherwise; one whose answers are NaN.
MAKE_MODELS = """
import pathlib, sys
from tests.serving import saved_models
folder = pathlib.Path(sys.argv[1])
for name, bias in (("steady", -1.0), ("moody", 5.0), ("broken", float("nan"))):
    saved_models.save_taxi(folder / name, bias)
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SERVING.exists():
        pytest.skip("the serving environment is not installed: ./trainyard setup serving")
    folder = tmp_path_factory.mktemp("exports")
    subprocess.run([SERVING, "-c", MAKE_MODELS, str(folder)], cwd=ROOT, check=True, capture_output=True)
    for export in folder.iterdir():
        golden = [{**ROW, "fare": fare} for fare in (1.0, 5.0, 9.0)]
        (export / "assets.extra" / "golden_requests.json").write_text(json.dumps({"instances": golden}))
    return folder


@pytest.fixture(scope="module")
def served(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModelStore, str]]:
    """A store with versions 1 (steady, stable), 2 (steady), 3 (moody), 4 (broken), and the server's address."""
    folder = tmp_path_factory.mktemp("served")
    store, ready = ModelStore(folder / "models"), folder / "ready.json"
    for version, name in enumerate(("steady", "steady", "moody", "broken"), 1):
        store.publish("taxi", exports / name, ReleaseDraft(publication_key=str(version), task="binary"))
    store.promote("taxi", 1, reason="test", actor="test")
    argv = [SERVING, "-m", "serving", "--store", folder / "models", "--rest-port", "0", "--grpc-port", "0"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*argv, "--ready-file", ready, "--poll-seconds", "0.2"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while not ready.is_file():
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield store, f"http://127.0.0.1:{json.loads(ready.read_text())['rest']}"
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.fixture
def store(served: tuple[ModelStore, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelStore]:
    store, url = served
    monkeypatch.setenv("TRAINYARD_STORE", str(Path(store.resolve("taxi", "stable").uri).parents[1]))
    monkeypatch.setenv("TRAINYARD_SERVER", url)
    yield store
    store.promote("taxi", 1, reason="the next test", actor="test")
    deployment.wait_until_served("taxi", "stable", 1, 60)


def canary(store: ModelStore, version: int) -> None:
    store.set_label("taxi", "canary", version, reason="test", actor="test")
    deployment.wait_until_served("taxi", "canary", version, 60)


def compare(version: int) -> Comparison:
    return deployment.compare_answers("taxi", version, 1, deployment.sample_requests("taxi", version))


def test_good_release_is_compared_and_promoted(store: ModelStore) -> None:
    assert deployment.verify("taxi", 2) == store.release("taxi", 2).digest
    canary(store, 2)
    comparison = compare(2)
    assert (comparison.requests, comparison.changed_share) == (3, 0.0)
    deployment.check_limits(comparison, max_changed_answers=0.0, latency_budget_ms=5000)
    store.promote("taxi", 2, reason="test", actor="test")
    deployment.wait_until_served("taxi", "stable", 2, 60)
    assert deployment.roll_back("taxi", 2, 1, "test") == ["stable is version 1 again"]
    assert store.labels("taxi") == {"stable": 1}
    assert deployment.roll_back("taxi", 2, 1, "again") == [], "nothing is left to undo"


def test_changed_answers_are_counted_and_refused(store: ModelStore) -> None:
    canary(store, 3)
    comparison = compare(3)
    assert comparison.changed_share is not None and comparison.changed_share > 0.5
    with pytest.raises(DeploymentRefused, match=r"max_changed_answers allows 15.0%"):
        deployment.check_limits(comparison, max_changed_answers=0.15, latency_budget_ms=5000)
    assert deployment.roll_back("taxi", 3, 1, "test") == ["removed the canary label from version 3"]


def test_answers_that_are_no_numbers_are_refused(store: ModelStore) -> None:
    store.set_label("taxi", "canary", 4, reason="test", actor="test")
    with pytest.raises(DeploymentRefused):
        deployment.wait_until_served("taxi", "canary", 4, 60)
        compare(4)


def test_first_deployment_has_nothing_to_compare_with(store: ModelStore) -> None:
    canary(store, 2)
    comparison = deployment.compare_answers("taxi", 2, None, deployment.sample_requests("taxi", 2))
    assert (comparison.changed_share, comparison.stable_median_ms) == (None, None)
    deployment.check_limits(comparison, max_changed_answers=0.0, latency_budget_ms=5000)


def test_slow_release_is_refused() -> None:
    with pytest.raises(DeploymentRefused, match=r"80.0 ms at the median; serving.latency_budget_ms allows 50 ms"):
        deployment.check_limits(Comparison(8, 2, 1, 0.0, 80.0, 3.0), 1.0, 50)


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
        deployment.sample_requests("taxi", 1)
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
        (0.0, 0.0, False),
    ],
)
def test_what_counts_as_a_changed_answer(old: object, new: object, changed: bool) -> None:
    assert deployment.is_changed(old, new) is changed


def test_finite() -> None:
    assert deployment.is_finite({"probabilities": [0.1, 0.9], "label": "a"})
    for bad in ({"prediction": float("nan")}, [[1.0, float("inf")]], {"prediction": "NaN"}, None, {}):
        assert not deployment.is_finite(bad)
