"""A stand-in for `python -m serving`: the labels' REST API over the real model store, with made-up predictions.

A release's `assets.extra/behaviour.json` steers it:
{"answer": "nan"}, {"label": "0"}, {"sleep_ms": 200}, {"load": "fails"}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from model_store import ModelStore, StoreError


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # head and body in one packet
    store: ModelStore

    def do_GET(self) -> None:
        if not self.path.startswith(("/healthz", "/v1/models/")):
            return self.answer(404, {"error": "not found"})
        if self.path == "/healthz":
            return self.answer(200, {"status": "ok"})
        try:
            version, behaviour = self.resolve(self.path)
        except StoreError as error:
            return self.answer(404, {"error": str(error)})
        state = "END" if behaviour.get("load") == "fails" else "AVAILABLE"
        status = (
            {"error_code": "INTERNAL", "error_message": "cannot load"}
            if state == "END"
            else {"error_code": "OK", "error_message": ""}
        )
        self.answer(200, {"model_version_status": [{"version": str(version), "state": state, "status": status}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path, _, _ = self.path.partition(":")
        try:
            _, behaviour = self.resolve(path)
        except StoreError as error:
            return self.answer(404, {"error": str(error)})
        time.sleep(behaviour.get("sleep_ms", 0) / 1000)
        probability = float(behaviour.get("answer", 0.7))
        one = {"probability": probability, "label": behaviour.get("label", "1")}
        self.answer(200, {"predictions": [one for _ in body["instances"]]})

    def resolve(self, path: str) -> tuple[int, dict]:
        parts = path.strip("/").split("/")
        reference: str | int = parts[4] if len(parts) > 4 else "stable"
        release = self.store.resolve(parts[2], int(reference) if str(reference).isdigit() else reference)
        file = Path(release.uri, "assets.extra", "behaviour.json")
        return release.version, json.loads(file.read_text()) if file.is_file() else {}

    def answer(self, code: int, body: dict) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--store", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--rest-port", type=int, default=0)
    parser.add_argument("--grpc-port", type=int, default=0)
    parser.add_argument("--ready-file", type=Path)
    asked, _ = parser.parse_known_args(arguments)
    Handler.store = ModelStore(asked.store)
    server = ThreadingHTTPServer((asked.host, asked.rest_port), Handler)
    server.daemon_threads = True
    if asked.ready_file:
        asked.ready_file.write_text(
            json.dumps({"rest": server.server_port, "grpc": asked.grpc_port, "pid": os.getpid()})
        )
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
