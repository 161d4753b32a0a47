"""Methods that refuse what is no request of theirs; gRPC itself calls that a failure of the server, and logs a traceback each time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from serving.rpc.answered import Context


class Methods:
    """What services are added to in a server's place: `add_..._to_server(servicer, Methods(server))`.

    Methods that answer with a single message then take and give bytes, so that who stands before them knows how many.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers([_Service(one) for one in handlers])

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """Does nothing: they are those of the generic handlers, which gRPC would prefer these to."""


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc]
    """A service's methods, each wrapped once."""

    def __init__(self, service: grpc.GenericRpcHandler) -> None:
        self._service = service
        self._known: dict[str, grpc.RpcMethodHandler] = {}

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        known = self._known.get(details.method)
        if known is None and (found := self._service.service(details)) is not None:
            known = self._known[details.method] = _wrapped(found)
        return known


def _wrapped(handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    async def one(message: bytes, context: Context) -> bytes:
        request = await _decoded(handler, message, context)
        try:
            answer = handler.unary_unary(request, context)
        except NotImplementedError:
            await _unimplemented(context)
        return bytes(handler.response_serializer(await answer))

    async def stream(message: bytes, context: Context) -> AsyncIterator[Any]:
        async for response in handler.unary_stream(await _decoded(handler, message, context), context):
            yield response

    async def streams(messages: AsyncIterator[bytes], context: Context) -> AsyncIterator[Any]:
        requests = (await _decoded(handler, message, context) async for message in messages)
        try:
            answers = handler.stream_stream(requests, context)
        except NotImplementedError:
            await _unimplemented(context)
        async for response in answers:
            yield response

    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(one)
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=handler.response_serializer)
    return grpc.stream_stream_rpc_method_handler(streams, response_serializer=handler.response_serializer)


async def _decoded(handler: grpc.RpcMethodHandler, message: bytes, context: Context) -> Any:
    try:
        return handler.request_deserializer(message)
    except DecodeError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the message is not the method's request.")
        raise AssertionError("context.abort raises") from None


async def _unimplemented(context: Context) -> NoReturn:
    """Ends the RPC of a method that a service leaves to what was generated for it."""
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server does not have the method.")
    raise AssertionError("context.abort raises")
