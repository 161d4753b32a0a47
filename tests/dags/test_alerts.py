"""Alerts reach a real SMTP server and a real webhook on this machine, and never fail the task that sends them."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from dags import alerts
from dags.alerts import Severity
from spec import environment as env
from spec.workload import Workload


class _Mail(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs to hand over a message."""

    def handle(self) -> None:
        self.wfile.write(b"220 test\r\n")
        while line := self.rfile.readline().strip().upper():
            if line.startswith(b"DATA"):
                self.wfile.write(b"354 go\r\n")
                text = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    text += part
                self.server.received.append(text.decode())  # type: ignore[attr-defined]
            if line.startswith(b"QUIT"):
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


class _Hook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.received.append(body)  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()
        self.wfile.write(b"ok" if self.server.status == 200 else b"no_service")  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[list[str], Any]]:
    """What the mail server has received, and the webhook's server."""
    mail = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)
    hook = ThreadingHTTPServer(("127.0.0.1", 0), _Hook)
    mail.received, hook.received, hook.status = [], [], 200  # type: ignore[attr-defined]
    for server in (mail, hook):
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    options = {"disable_ssl": True, "disable_tls": True, "from_email": "trainyard@example.com"}
    connections = {
        "MAIL": {"conn_type": "smtp", "host": "127.0.0.1", "port": mail.server_address[1], "extra": options},
        "CHAT": {
            "conn_type": "slackwebhook",
            "schema": "http",
            "host": f"127.0.0.1:{hook.server_address[1]}/services",
            "password": "T000/B000/secret",
        },
    }
    for name, connection in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(connection))
    yield mail.received, hook  # type: ignore[attr-defined]
    for server in (mail, hook):
        server.shutdown()
        server.server_close()


def workload(**settings: Any) -> Workload:
    channels = {"email": ["ml@example.com"], "email_connection": "mail", "slack_connection": "chat"}
    return Workload.model_validate(
        {"name": "taxi", "task": "binary", "data": {"label": {"column": "y"}}, "alerts": channels | settings}
    )


def test_mail_and_chat(servers: tuple[list[str], Any]) -> None:
    mails, hook = servers
    assert alerts.send(workload(), "it broke", "fare < 0\nmend it") == ("email", "slack")
    (mail,), (message,) = mails, hook.received
    assert "Subject: [Trainyard] taxi: it broke" in mail and "To: ml@example.com" in mail
    assert message["text"] == "taxi: it broke" and message["attachments"][0]["text"] == "fare < 0\nmend it"


def test_what_matters_less_is_only_logged(servers: tuple[list[str], Any], caplog: pytest.LogCaptureFixture) -> None:
    mails, hook = servers
    with caplog.at_level("INFO", logger="dags.alerts"):
        assert alerts.send(workload(level="error"), "not released", "auc", Severity.WARNING) == ()
    assert (mails, hook.received) == ([], []) and "not released" in caplog.text


def test_a_channel_that_does_not_work_is_one_line_without_its_secret(
    servers: tuple[list[str], Any], caplog: pytest.LogCaptureFixture
) -> None:
    mails, hook = servers
    hook.status = 500
    with caplog.at_level("WARNING", logger="dags.alerts"):
        assert alerts.send(workload(email_connection="nowhere"), "it broke", "see") == ()
    lines = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(lines) == 2 and "connection 'nowhere'" in lines[0] and "connection 'chat'" in lines[1]
    assert "secret" not in caplog.text and not mails


def test_the_site_s_channels_serve_those_that_name_none(
    servers: tuple[list[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(env.ALERT_SLACK, "chat")
    assert alerts.send(None, "housekeeping", "done", Severity.WARNING) == ("slack",)


def test_a_failed_task_says_which_why_and_what_to_do(servers: tuple[list[str], Any]) -> None:
    _, hook = servers
    ti = SimpleNamespace(task_id="check_quality", dag_id="retrain_taxi", try_number=1, log_url="https://airflow/log")
    task = SimpleNamespace(doc_md="Mend the data.")
    alerts.task_failed(workload())({"ti": ti, "task": task, "run_id": "r1", "exception": ValueError("fare < 0")})
    (message,) = hook.received
    assert message["text"] == "check_quality of retrain_taxi failed"
    for part in ("Run r1, try 1: fare < 0", "https://airflow/log", "Mend the data."):
        assert part in message["attachments"][0]["text"]


def test_a_deadline_that_passes_is_told_from_the_triggerer(servers: tuple[list[str], Any]) -> None:
    mails, hook = servers
    one = workload()
    settings = one.alerts.model_dump(mode="json")
    asyncio.run(alerts.deadline_passed("taxi", 90, settings, {"dag_run": {"dag_run_id": "r1"}}))
    assert "Run r1 of retrain_taxi has not ended 90 minutes" in hook.received[0]["attachments"][0]["text"]
    assert len(mails) == 1
