"""What platforms ask any server: /healthz, /livez, /metrics."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.http.responses import json_response
from serving.inference.inference import Inference
from serving.metrics import CONTENT_TYPE


class PlatformApi:
    """Readiness, liveness and metrics."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self.routes = [
            Route("/healthz", self._healthz),
            Route("/livez", self._livez),
            Route("/metrics", self._prometheus),
            Route("/monitoring/prometheus/metrics", self._prometheus),  # TF Serving's default
        ]

    async def _healthz(self, _: Request) -> Response:
        manager = self._inference.manager
        ready = manager.ready and not self._inference.leaving
        models = {
            name: {label: servable.version for label, servable in model.labels.items()}
            for name, model in manager.models().items()
        }
        waiting = manager.why_not()
        damaged = {name: model.damaged for name, model in manager.models().items() if model.damaged}
        status = "stopping" if self._inference.leaving else "not ready"
        if ready:
            status = "degraded" if damaged else "ready"
        document = {"status": status, "models": models}
        document |= {"waiting_for": waiting} if waiting else {}
        document |= {"damaged": damaged} if damaged else {}
        return json_response(document, 200 if ready else 503)

    async def _livez(self, _: Request) -> Response:
        return json_response({"status": "alive"})

    async def _prometheus(self, _: Request) -> Response:
        return Response(self._inference.metrics.text(), media_type=CONTENT_TYPE)
