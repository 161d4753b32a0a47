"""gRPC's own health service: what load balancers and Kubernetes' probes ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving.errors import NotFoundError
from serving.inference.inference import Inference
from serving.rpc.answered import Context, refuse
from serving.rpc.methods import Methods

SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_WATCH_SECONDS = 0.2
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """grpc.health.v1.Health; the service "" is the whole server, the others are the models by name.

    grpcio-health-checking's own servicer has to be told every change, and its watchers would hold up the end of the server.
    """

    def __init__(self, inference: Inference) -> None:
        self._inference = inference

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Context) -> health_pb2.HealthCheckResponse:
        status = self._status(request.service)
        if status == _UNKNOWN:
            known = ", ".join(sorted(self._inference.manager.models())) or "none yet"
            await refuse(context, NotFoundError(f"there is no model {request.service!r} here. Served: {known}"))
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        told = None
        while True:
            status = self._status(request.service)
            if status != told:
                yield health_pb2.HealthCheckResponse(status=status)
                told = status
            if self._inference.draining:
                return
            await asyncio.sleep(_WATCH_SECONDS)

    def _status(self, service: str) -> int:
        manager = self._inference.manager
        if service and service not in manager.models():
            return _UNKNOWN
        ready = manager.models()[service].ready if service else manager.ready
        return _SERVING if ready and not self._inference.leaving else _NOT_SERVING


def add_health(methods: Methods, inference: Inference) -> None:
    """Makes a server answer gRPC's health service."""
    health_pb2_grpc.add_HealthServicer_to_server(Health(inference), methods)
