"""BentoML, with its adaptive batches."""

from __future__ import annotations

import os
from typing import Any

import bentoml

from benchmarks.serving_peers.model import Model


@bentoml.service(workers=int(os.environ.get("PEER_WORKERS", "1")), traffic={"timeout": 60})
class Peer:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(batchable=True, max_batch_size=32, max_latency_ms=60_000, route="/predict")
    def predict(self, instances: list[Any]) -> list[Any]:
        return self.model.predict(instances)
