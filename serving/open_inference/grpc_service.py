"""The protocol's gRPC service."""

from __future__ import annotations

from typing import Any

from tritonclient.grpc import service_pb2, service_pb2_grpc

from serving.errors import ServingError
from serving.http.aside import Aside
from serving.inference.inference import Inference
from serving.open_inference import _messages
from serving.open_inference._metadata import model_metadata, server_metadata
from serving.open_inference._requests import inferred, version_of
from serving.rpc.answered import Context, answered
from serving.rpc.methods import Methods

SERVICE = service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name


class GRPCInferenceService(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
    """inference.GRPCInferenceService.

    Args:
        aside: decodes and encodes what is large.
    """

    def __init__(self, inference: Inference, aside: Aside) -> None:
        self._inference, self._aside = inference, aside

    async def ServerLive(self, request: Any, context: Context) -> service_pb2.ServerLiveResponse:
        return service_pb2.ServerLiveResponse(live=True)

    async def ServerReady(self, request: Any, context: Context) -> service_pb2.ServerReadyResponse:
        ready = self._inference.manager.ready and not self._inference.leaving
        return service_pb2.ServerReadyResponse(ready=ready)

    async def ModelReady(
        self, request: service_pb2.ModelReadyRequest, context: Context
    ) -> service_pb2.ModelReadyResponse:
        try:
            self._inference.manager.find(request.name, version_of(request.version))
        except ServingError:
            return service_pb2.ModelReadyResponse(ready=False)
        return service_pb2.ModelReadyResponse(ready=not self._inference.leaving)

    async def ServerMetadata(self, request: Any, context: Context) -> service_pb2.ServerMetadataResponse:
        return service_pb2.ServerMetadataResponse(**server_metadata())

    async def ModelMetadata(
        self, request: service_pb2.ModelMetadataRequest, context: Context
    ) -> service_pb2.ModelMetadataResponse:
        async def answer(_: str) -> service_pb2.ModelMetadataResponse:
            manager = self._inference.manager
            servable, _label = manager.find(request.name, version_of(request.version))
            return service_pb2.ModelMetadataResponse(**model_metadata(manager, servable))

        return await answered(context, f"metadata of {request.name}", answer)

    async def ModelInfer(
        self, request: service_pb2.ModelInferRequest, context: Context
    ) -> service_pb2.ModelInferResponse:
        async def answer(request_id: str) -> service_pb2.ModelInferResponse:
            self._inference.accept()
            infer = _messages.parse(request)
            asked = infer.to(request_id, "grpc", request.model_name, version_of(request.model_version))
            return await self._inference.answer(
                asked, lambda call: inferred(call, self._aside, infer, request.ByteSize(), _messages.answer)
            )

        return await answered(context, f"infer of {request.model_name}", answer, request.id)


def add_service(methods: Methods, inference: Inference, aside: Aside) -> None:
    """Makes a server answer the protocol's service."""
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(GRPCInferenceService(inference, aside), methods)
