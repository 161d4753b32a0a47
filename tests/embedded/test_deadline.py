"""A declared deadline, by the scheduler that finds it missed and the triggerer that tells: a real message to a real webhook."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.embedded.conftest import Home, Running, wait_for

pytestmark = pytest.mark.slow
WORKLOAD = {
    "name": "taxi",
    "task": "binary",
    "owner": "team-a",
    "data": {"label": {"column": "y"}},
    "schedule": {"deadline_minutes": 1, "quality_cron": None},
    "alerts": {"slack_connection": "chat"},
}


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append(body)  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None: ...


def test_a_retraining_that_takes_too_long_is_told_and_goes_on(fresh_home: Home, tmp_path: Path) -> None:
    workload = tmp_path / "workloads" / "taxi" / "workload.yaml"
    workload.parent.mkdir(parents=True)
    workload.write_text(json.dumps(WORKLOAD))
    hook = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    hook.received = []  # type: ignore[attr-defined]
    received: list[dict[str, Any]] = hook.received  # type: ignore[attr-defined]
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    supervisor = fresh_home.start("up", TRAINYARD_WORKLOADS=str(tmp_path / "workloads"))
    try:
        fresh_home.wait_until_up(supervisor)
        platform = Running(fresh_home)
        wait_for(lambda: platform.api.dag_is_loaded("retrain_taxi"), 60, "the DAGs are loaded")
        host = f"127.0.0.1:{hook.server_address[1]}/services"
        platform.api.add_connection("chat", conn_type="slackwebhook", schema="http", host=host, password="T0/B0/secret")
        platform.land(1, json.dumps({"seconds": 75}))
        run = platform.next_run("retrain_taxi")
        wait_for(lambda: any("deadline" in one["text"] for one in received), 120, "the alert has come")
        (message,) = [one for one in received if "deadline" in one["text"]]
        assert message["text"] == "taxi: the retraining has passed its deadline"
        assert f"Run {run.run_id} of retrain_taxi has not ended 1 minutes" in message["attachments"][0]["text"]
        assert platform.finished(run)[0] == "success", "it goes on"
    finally:
        supervisor.terminate()
        supervisor.wait(timeout=60)
        hook.shutdown()
        hook.server_close()
