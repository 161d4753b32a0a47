"""A real store of good and bad releases, and the real model server that follows it."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from dags import deployment
from model_store import ModelStore, ReleaseDraft
from spec.workload import Serving

ROOT = Path(__file__).resolve().parents[3]
SERVING = ROOT / ".venv" / "serving" / "bin" / "python"
ROW = {"fare": 5.0, "miles": 1.0, "area": 3, "company": "A", "hour": 7}
# What the releases do: as they should; answer otherwise; answer NaN; fail; answer late.
VERSIONS = {"steady": 1, "successor": 2, "moody": 3, "broken": 4, "failing": 5, "slow": 6}
MAKE_MODELS = """
import pathlib, sys
from tests.serving import saved_models
folder = pathlib.Path(sys.argv[1])
for name, bias in (("steady", -1.0), ("successor", -1.0), ("moody", 5.0), ("broken", float("nan"))):
    saved_models.save_taxi(folder / name, bias)
saved_models.save_failing(folder / "failing")
saved_models.save_slow(folder / "slow", seconds=0.3)
"""


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SERVING.exists():
        pytest.skip("the serving environment is not installed: ./trainyard setup serving")
    folder = tmp_path_factory.mktemp("exports")
    subprocess.run([SERVING, "-c", MAKE_MODELS, str(folder)], cwd=ROOT, check=True, capture_output=True)
    for export in folder.iterdir():
        golden = [{**ROW, "fare": fare} for fare in (1.0, 5.0, 9.0)]
        (export / "assets.extra" / "golden_requests.json").write_text(json.dumps({"instances": golden}))
    return folder


@pytest.fixture(scope="session")
def served(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModelStore, str, Path]]:
    """A store with VERSIONS, the first of them stable; the server's address; the folder of its request record."""
    folder = tmp_path_factory.mktemp("served")
    store, ready, record = ModelStore(folder / "models"), folder / "ready.json", folder / "record"
    for name, version in VERSIONS.items():
        store.publish("taxi", exports / name, ReleaseDraft(publication_key=str(version), task="binary"))
    store.promote("taxi", 1, reason="test", actor="test")
    argv = [SERVING, "-m", "serving", "--store", folder / "models", "--rest-port", "0", "--grpc-port", "0"]
    argv += ["--ready-file", ready, "--poll-seconds", "0.2", "--record", record, "--record-rate", "1"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 120
        while not ready.is_file():
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield store, f"http://127.0.0.1:{json.loads(ready.read_text())['rest']}", record
    finally:
        server.terminate()
        server.wait(timeout=60)


@pytest.fixture
def store(served: tuple[ModelStore, str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelStore]:
    """The store as every test finds it: version 1 stable, nothing on trial, nothing remembered."""
    store, url, _ = served
    monkeypatch.setenv("TRAINYARD_STORE", store.uri)
    monkeypatch.setenv("TRAINYARD_SERVER", url)
    history = Path(store.uri, "taxi", "history.jsonl")
    remembered = history.read_bytes()
    yield store
    if "canary" in store.labels("taxi"):
        store.remove_label("taxi", "canary", reason="the next test", actor="test")
    store.promote("taxi", 1, reason="the next test", actor="test")
    deployment.wait_until_served("taxi", "stable", 1, 60)
    history.write_bytes(remembered)


class Traffic:
    """Clients that ask without a version, on and on, while a test deploys."""

    def __init__(self, url: str) -> None:
        self.statuses: Counter[int] = Counter()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(url, client)) for client in range(2)]

    def _ask(self, url: str, client: int) -> None:
        number = client
        with httpx.Client(base_url=url, timeout=60) as http:
            while not self._stop.is_set():
                row = {**ROW, "fare": (number % 400) / 20}
                self.statuses[http.post("/v1/models/taxi:predict", json={"instances": [row]}).status_code] += 1
                number += 2
                time.sleep(0.005)

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


@pytest.fixture
def traffic(served: tuple[ModelStore, str, Path]) -> Callable[[], Traffic]:
    return lambda: Traffic(served[1])


def serving(**changes: Any) -> Serving:
    """`serving` of workload.yaml for a busy test machine: latencies are judged where a test says so."""
    limits = {"min_requests": 60, "prediction_drift": 0.3, "p99_ms": 60_000, **changes.pop("limits", {})}
    canary = {"steps": changes.pop("steps", [{"share": 0.5, "minutes": 5}]), "limits": limits}
    return Serving.model_validate({"latency_budget_ms": 60_000, "canary": canary, **changes})
