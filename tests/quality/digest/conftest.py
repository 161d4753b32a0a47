"""A webhook and a mail server of this machine, which say what they are told to say and keep what they got."""

from __future__ import annotations

import dataclasses
import email
import email.message
import email.policy
import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest


@dataclasses.dataclass
class Webhook:
    """Answers with `answers` in turn, then 200."""

    port: int = 0
    answers: list[int] = dataclasses.field(default_factory=list)
    got: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/services/T0/B0/secret-token"


@dataclasses.dataclass
class MailServer:
    """Refuses recipients whose address starts with `nobody`."""

    port: int = 0
    got: list[email.message.EmailMessage] = dataclasses.field(default_factory=list)


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    made = Webhook()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status = made.answers.pop(0) if made.answers else 200
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"ok" if status == 200 else b"no_service " + self.path.encode())

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        server.shutdown()


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    made = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        """Enough of RFC 5321 for a client that speaks it."""

        def handle(self) -> None:
            self.say("220 ready")
            for line in self.rfile:
                word = line.split(b":")[0].strip().upper().split(b" ")[0]
                if word == b"DATA":
                    self.say("354 go on")
                    body = b"".join(iter(self.rfile.readline, b".\r\n"))
                    made.got.append(email.message_from_bytes(body, policy=email.policy.default))  # type: ignore[arg-type]
                    self.say("250 taken")
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("550 no such mailbox" if b"nobody" in line and word == b"RCPT" else "250 fine")

        def say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        made.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        server.shutdown()
