"""The door for gRPC, an interceptor."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping

import grpc

from serving.access.door import Door
from serving.errors import LimitedError, ServingError
from serving.inference.request_ids import HEADER

_PUSHBACK = "grpc-retry-pushback-ms"
"""gRPC's own word for Retry-After: a client with a retry policy waits as long."""
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}
Continuation = Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]]


class RpcDoor(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets calls through to `Methods`; what it refuses is refused before its message is decoded."""

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
        if handler is None or handler.unary_unary is None:
            return handler  # a stream, such as reflection's, has its key asked for and no line
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
            with self._door.passing("grpc", path, headers) as exchange:
                exchange.key, exchange.bytes_in = key, len(message)
                exchange.code = grpc.StatusCode.UNKNOWN.name  # what gRPC says where a service fails
                try:
                    response: bytes = await handler.unary_unary(message, context)
                    exchange.bytes_out = len(response)
                    exchange.code = _code(context)
                    return response
                except grpc.aio.AbortError:
                    exchange.code = _code(context)
                    raise
                except asyncio.CancelledError:
                    exchange.code = grpc.StatusCode.CANCELLED.name
                    raise

        return grpc.unary_unary_rpc_method_handler(answer)


def _code(context: grpc.aio.ServicerContext) -> str:
    code = context.code() or 0  # none is set where all is well
    return code.name if isinstance(code, grpc.StatusCode) else _CODES[code]
