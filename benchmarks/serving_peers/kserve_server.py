"""KServe's model server, its V1 protocol."""

from __future__ import annotations

import argparse
from typing import Any

import kserve

from benchmarks.serving_peers.model import Model


class Peer(kserve.Model):
    def __init__(self) -> None:
        super().__init__("peer")
        self.load()

    def load(self) -> bool:
        self.model = Model()
        self.ready = True
        return True

    def predict(self, payload: dict[str, Any], headers: Any = None, response_headers: Any = None) -> dict[str, Any]:
        return {"predictions": self.model.predict(payload["instances"])}


if __name__ == "__main__":
    options = argparse.ArgumentParser(parents=[kserve.model_server.parser]).parse_args()
    kserve.ModelServer(
        http_port=options.http_port, workers=options.workers, enable_grpc=False, access_log_format=None
    ).start([Peer()])
