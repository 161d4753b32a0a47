"""The whole loop with real parts: a trained release, a model server, requests, labels, a bound that breaks, and the way back."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sklearn import metrics as sklearn_metrics

from cli import main as cli
from model_store import RELEASE_FILE, ModelStore, ReleaseDraft
from spec import home
from tests.yard import WORKLOAD, Yard, trips

pytestmark = pytest.mark.slow
ROWS = 250


class Server:
    """A model server in its own environment."""

    def __init__(self, folder: pathlib.Path) -> None:
        ready = folder / "ready.json"
        command = [str(home.environment_python("serving")), "-m", "serving", "--store", home.store_uri()]
        command += ["--record", str(folder / "record"), "--record-rate", "1", "--ready-file", str(ready)]
        command += ["--rest-port", "0", "--grpc-port", "0", "--poll-seconds", "0.1"]
        environment = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).resolve().parents[3])}
        with (folder / "log.txt").open("w") as log:
            self.process = subprocess.Popen(command, stderr=log, env=environment)
        until(lambda: ready.exists() or self.process.poll() is not None, 120)
        self._port = json.loads(ready.read_text())["rest"]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        connection.request(method, path, body and json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        assert response.status == 200, text
        return text


def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def server(yard: Yard, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of one trained release, which records all requests."""
    from pipelines.run import Display, RunRequest, run

    bounds = "monitoring: {live: {metrics: [{metric: accuracy, min: 0.5}], then: rollback}}\nquality: {skew: {min_rows: 100}}\n"
    yard.write(workload=WORKLOAD + bounds)
    assert run(RunRequest("tips"), Display()).release["version"] == 1
    ModelStore(home.store_uri()).promote("tips", 1, reason="test", actor="test")
    monkeypatch.setenv("TRAINYARD_RECORD", str(tmp_path / "record"))
    started = Server(tmp_path)
    yield started
    started.process.terminate()
    started.process.wait(30)


def asked(server: Server, prefix: str, seed: int) -> tuple[list[str], list[int], list[float]]:
    """Ids, labels and the answered probabilities of new trips, a request each."""
    ids, labels, answers = [], [], []
    for number, row in enumerate(csv.DictReader(io.StringIO(trips(ROWS, seed)))):
        ids.append(f"{prefix}{number}")
        labels.append(int(row["tipped"]))
        instance = {"fare": float(row["fare"]), "miles": float(row["miles"] or "nan"), "kind": row["kind"]}
        instance = {name: value for name, value in instance.items() if value == value}
        answer = server.ask("POST", "/v1/models/tips:predict", {"instances": [instance]}, **{"X-Request-Id": ids[-1]})
        (one,) = json.loads(answer)["predictions"]
        answers.append(one["probability"])
    return ids, labels, answers


def give(path: pathlib.Path, ids: list[str], labels: list[int]) -> None:
    path.write_text("request_id,label\n" + "".join(f"{a},{b}\n" for a, b in zip(ids, labels, strict=True)))
    assert cli.main(["feedback", "tips", str(path)]) == 0


def test_from_a_request_to_a_rollback(
    server: Server, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ModelStore(home.store_uri())
    ids, labels, answers = asked(server, "first-", seed=7)
    recorded = tmp_path / "record" / "tips"
    until(lambda: sum(len(p.read_text().splitlines()) for p in recorded.glob("*.jsonl")) == ROWS)
    give(tmp_path / "first.csv", ids, labels)
    capsys.readouterr()
    assert cli.main(["live", "tips", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["versions"]
    accuracy = sklearn_metrics.accuracy_score(labels, [p > 0.5 for p in answers])
    assert (one["answered"], one["labelled"], one["metrics"]["accuracy"]["value"]) == (ROWS, ROWS, accuracy)
    assert one["metrics"]["auc"]["value"] == pytest.approx(sklearn_metrics.roc_auc_score(labels, answers), abs=1e-3)
    assert cli.main(["skew", "tips"]) == 0
    shown = server.ask("GET", "/metrics")
    assert f'live_metric{{metric="accuracy",model="tips",version="1"}} {accuracy}' in shown
    assert 'drift{column="fare",kind="skew",measure="psi",model="tips",version="1"}' in shown

    # A second release, of which the labels say the contrary of what it answers.
    export = tmp_path / "export"
    shutil.copytree(store.resolve("tips", 1).uri, export, ignore=shutil.ignore_patterns(RELEASE_FILE))
    second = store.publish("tips", export, ReleaseDraft("again", "binary")).version
    store.promote("tips", second, reason="test", actor="test")
    until(lambda: f'loaded_version{{label="stable",model="tips"}} {second}.0' in server.ask("GET", "/metrics"))
    ids, _, answers = asked(server, "second-", seed=8)
    until(lambda: sum(len(p.read_text().splitlines()) for p in recorded.glob("*.jsonl")) == 2 * ROWS)
    give(tmp_path / "second.csv", ids, [int(p <= 0.5) for p in answers])
    assert cli.main(["live", "tips", "--act"]) == 2
    assert "version 1 is stable again" in capsys.readouterr().out
    until(lambda: 'loaded_version{label="stable",model="tips"} 1.0' in server.ask("GET", "/metrics"))
    assert cli.main(["live", "tips"]) == 0
