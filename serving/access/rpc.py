"""The door for gRPC, an interceptor."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from serving.access.door import Door
from serving.errors import LimitedError, ServingError
from serving.inference.request_ids import HEADER

_PUSHBACK = "grpc-retry-pushback-ms"
"""gRPC's own word for Retry-After: a client with a retry policy waits as long."""
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]]


class RpcDoor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets calls through to the services; what it refuses is refused before its message is decoded."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def intercept_service(
        self, continuation: Continuation, details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler:
        headers = {name: value for name, value in details.invocation_metadata or () if isinstance(value, str)}
        try:
            key = self._door.admit(details.method, headers)
        except ServingError as error:
            return self._refusing(error, details.method, headers)
        handler = await continuation(details)
        if handler is None:
            return handler
        if handler.unary_unary is None:
            return _streaming(handler)  # such as reflection's: has its key asked for and no line
        return self._answering(handler, details.method, headers, key)

    def _refusing(self, error: ServingError, path: str, headers: Mapping[str, str]) -> grpc.RpcMethodHandler:
        async def refuse(message: bytes, context: grpc.aio.ServicerContext) -> None:
            with self._door.passing("grpc", path, headers) as exchange:
                exchange.code, exchange.bytes_in = error.grpc_status, len(message)
                told = [(HEADER, exchange.request_id)]
                if isinstance(error, LimitedError):
                    told.append((_PUSHBACK, str(math.ceil(error.seconds * 1000))))
                await context.abort(grpc.StatusCode[error.grpc_status], str(error), tuple(told))

        return grpc.unary_unary_rpc_method_handler(refuse)

    def _answering(
        self, handler: grpc.RpcMethodHandler, path: str, headers: Mapping[str, str], key: str
    ) -> grpc.RpcMethodHandler:
        async def answer(message: bytes, context: grpc.aio.ServicerContext) -> bytes:
            """From bytes to bytes, so that their number is known."""
            with self._door.passing("grpc", path, headers) as exchange:
                exchange.key, exchange.bytes_in = key, len(message)
                exchange.code = grpc.StatusCode.UNKNOWN.name  # what gRPC says where a service fails
                try:
                    request = await _decoded(handler, message, context)
                    response: bytes = handler.response_serializer(await handler.unary_unary(request, context))
                    exchange.bytes_out = len(response)
                    exchange.code = _code(context)
                    return response
                except NotImplementedError:
                    exchange.code = grpc.StatusCode.UNIMPLEMENTED.name
                    await _unimplemented(context)
                except grpc.aio.AbortError:
                    exchange.code = _code(context)
                    raise
                except asyncio.CancelledError:
                    exchange.code = grpc.StatusCode.CANCELLED.name
                    raise
            raise AssertionError("context.abort raises")

        return grpc.unary_unary_rpc_method_handler(answer)


def _streaming(handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    """A handler that answers by a stream, and refuses a message as others do."""
    if handler.unary_stream is None:

        async def answer_each(messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
            requests = (await _decoded(handler, message, context) async for message in messages)
            try:
                answers = handler.stream_stream(requests, context)
            except NotImplementedError:
                await _unimplemented(context)
            async for response in answers:
                yield response

        return grpc.stream_stream_rpc_method_handler(answer_each, response_serializer=handler.response_serializer)

    async def answer(message: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        async for response in handler.unary_stream(await _decoded(handler, message, context), context):
            yield response

    return grpc.unary_stream_rpc_method_handler(answer, response_serializer=handler.response_serializer)


async def _unimplemented(context: grpc.aio.ServicerContext) -> NoReturn:
    """Ends the RPC of a method that a service does not have: what is generated for such a one would be logged as a failure."""
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "this server does not have the method.")
    raise AssertionError("context.abort raises")


async def _decoded(handler: grpc.RpcMethodHandler, message: bytes, context: grpc.aio.ServicerContext) -> Any:
    """A method's request; the RPC ends if the message is none. gRPC itself would call that a failure of the server."""
    try:
        return handler.request_deserializer(message)
    except DecodeError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the message is not the method's request.")
        raise AssertionError("context.abort raises") from None


def _code(context: grpc.aio.ServicerContext) -> str:
    code = context.code() or 0  # none is set where all is well
    return code.name if isinstance(code, grpc.StatusCode) else _CODES[code]
