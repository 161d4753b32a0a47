"""What the looks at a model left for Prometheus is in /metrics; and Grafana's dashboard asks for nothing that is not there."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import Server, publisher, wait_for

from model_store import ModelStore

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "grafana"
DASHBOARD = json.loads((DEPLOY / "trainyard.json").read_text())
EXPRESSIONS = sorted({one["expr"] for panel in DASHBOARD["panels"] for one in panel.get("targets", ())})
LIVE = {
    "at": 1764504000.5,
    "feedback_rows": 460,
    "versions": [
        {
            **{"version": 1, "label": "stable", "answered": 1000, "labelled": 450},
            "metrics": {
                "auc": {"value": 0.9, "low": 0.87, "high": 0.93, "min": 0.85, "max": None},
                "log_loss": {"value": 0.4, "low": None, "high": None, "min": None, "max": None},
            },
        }
    ],
}
SKEW = {
    **{"at": 1764503000, "version": 1, "rows": 1000},
    "drift": [
        {"kind": "skew", "column": 'fare "x"\n', "measure": "psi", "value": 0.3, "limit": 0.25},
        {"kind": "prediction_drift", "column": "probability", "measure": "psi", "value": 0.01, "limit": 0.25},
        {"kind": "skew", "column": "hour", "measure": "kolmogorov_smirnov", "value": 0.2, "limit": None},
    ],
}
ROW = {"instances": [{"fare": 2.5, "hour": 1}]}


@pytest.fixture(scope="module")
def watched(
    exports: dict[str, pathlib.Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, pathlib.Path]]:
    """A server with a canary that has answered and refused, and the folder of its record of taxi."""
    folder = tmp_path_factory.mktemp("watched")
    store = ModelStore(folder / "models")
    publisher(store)("taxi", exports["taxi_0"])
    publisher(store)("taxi", exports["taxi_1"], "canary")
    store.set_label("taxi", "canary", 2, share=0.1, reason="test", actor="test")
    options = ("--record", str(folder / "record"), "--record-rate", "1", "--max-request-mb", "0.01")
    server = Server(folder, store, *options)
    try:
        server.wait_until_ready()
        assert server.post("taxi:predict", ROW)[0] == 200
        assert server.post("taxi:predict", b"x" * 20_000)[0] == 413
        wait_for((folder / "record" / "taxi").is_dir)
        yield server, folder / "record" / "taxi"
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def looked_at(watched: tuple[Server, pathlib.Path]) -> None:
    """Both looks have been made."""
    (watched[1] / "live.json").write_text(json.dumps(LIVE))
    (watched[1] / "skew.json").write_text(json.dumps(SKEW))


def series(server: Server, name: str) -> list[str]:
    return [one for one in server.get("/metrics")[1].splitlines() if one.startswith(f"trainyard_serving_{name}{{")]


def test_looks_are_series(watched: tuple[Server, pathlib.Path]) -> None:
    server, folder = watched
    labels = 'metric="auc",model="taxi",version="1"'
    assert f"trainyard_serving_live_metric{{{labels}}} 0.9" in series(server, "live_metric")
    assert series(server, "live_metric_low") == [f"trainyard_serving_live_metric_low{{{labels}}} 0.87"]
    assert series(server, "live_limit") == [f'trainyard_serving_live_limit{{bound="min",{labels}}} 0.85']
    assert len(series(server, "drift")) == 3 and len(series(server, "drift_limit")) == 2
    assert 'column="fare \\"x\\"\\n"' in series(server, "drift")[0], "names are escaped"
    assert series(server, "look_timestamp_seconds") == [
        'trainyard_serving_look_timestamp_seconds{look="live",model="taxi"} 1.7645040005e+09',
        'trainyard_serving_look_timestamp_seconds{look="skew",model="taxi"} 1.764503e+09',
    ]
    # A newer look takes the place of the one before.
    (folder / "live.json").write_text(json.dumps(LIVE | {"feedback_rows": 7_777}))
    assert series(server, "feedback_rows") == ['trainyard_serving_feedback_rows{model="taxi"} 7777.0']


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"at": "x"}', '{"at": 1}', '{"at": 1, "feedback_rows": 1, "versions": [1]}', " " * (2 << 20)]
)
def test_a_look_that_cannot_be_read_is_none(watched: tuple[Server, pathlib.Path], text: str) -> None:
    server, folder = watched
    told = server.log().count("its figures are not shown")
    (folder / "live.json").write_text(text)
    assert server.get("/metrics")[0] == 200 and not series(server, "live_metric") and series(server, "drift")
    assert server.log().count("its figures are not shown") == told + 1, "said once, not at each scrape"


def test_every_series_of_the_dashboard_is_the_server_s(watched: tuple[Server, pathlib.Path]) -> None:
    server, _ = watched
    known = set(re.findall(r"^# HELP (\w+)", server.get("/metrics")[1], re.MULTILINE))
    known |= {f"{name}_bucket" for name in known}
    asked = {name for one in EXPRESSIONS for name in re.findall(r"trainyard_serving_\w+", one)}
    queries = [one["definition"] for one in DASHBOARD["templating"]["list"] if "definition" in one]
    asked |= {name for one in queries for name in re.findall(r"trainyard_serving_\w+", one)}
    assert len(asked) > 15 and asked <= known, asked - known


@pytest.mark.slow
def test_prometheus_answers_every_question_of_the_dashboard(
    watched: tuple[Server, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    if not shutil.which("prometheus"):
        pytest.skip("needs Prometheus (Debian: apt install prometheus)")
    server, _ = watched
    text = (DEPLOY / "prometheus.yml").read_text()
    text = text.replace("15s", "1s").replace("127.0.0.1:8501", f"127.0.0.1:{server.rest}")
    (tmp_path / "prometheus.yml").write_text(text)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb"]
    process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: asked(port, "count_over_time(trainyard_serving_ready[1m]) > 2"), 60)
        assert server.post("taxi:predict", ROW)[0] == 200
        variables = {"$__rate_interval": "1m", "$model": "taxi", "$metric": "auc"}
        concrete = {re.sub(r"\$\w+", lambda found: variables[found[0]], one) for one in EXPRESSIONS}
        deadline = time.monotonic() + 30
        while unanswered := [one for one in concrete if not asked(port, one)]:
            assert time.monotonic() < deadline, unanswered
    finally:
        process.terminate()
        process.wait(30)


def asked(port: int, expression: str) -> list[Any]:
    """What Prometheus answers; nothing while it does not answer yet. An expression that it refuses is an error."""
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            found: list[Any] = json.loads(response.read())["data"]["result"]
            return found
    except urllib.error.HTTPError as error:
        if error.code == 503:  # not yet
            return []
        raise AssertionError(f"{expression}: {error.read().decode()}") from None
    except urllib.error.URLError:
        return []
