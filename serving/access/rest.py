"""The door for HTTP, around the application."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.access.door import Door
from serving.errors import ServingError, UnauthenticatedError
from serving.http.responses import refusal
from serving.inference.request_ids import HEADER

_LEFT = 499
"""The caller left before there was an answer: no status of HTTP's, but what many servers write."""


class RestDoor:
    """An ASGI application that lets requests through to another; what it refuses is refused before its body is read."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self._door.passing("rest", scope["path"], headers) as exchange:
            exchange.code = _LEFT
            if headers.get(HEADER) != exchange.request_id:  # so that the answer has the id that the log has
                others = [one for one in scope["headers"] if one[0] != HEADER.encode()]
                scope = {**scope, "headers": [*others, (HEADER.encode(), exchange.request_id.encode())]}

            async def receive_and_count() -> Message:
                message = await receive()
                exchange.bytes_in += len(message.get("body", b""))
                return message

            async def send_and_count(message: Message) -> None:
                if message["type"] == "http.response.start":
                    exchange.code = message["status"]
                exchange.bytes_out += len(message.get("body", b""))
                await send(message)

            try:
                exchange.key = self._door.admit(scope["path"], headers)
            except ServingError as error:
                response = refusal(error)
                response.headers[HEADER] = exchange.request_id
                if isinstance(error, UnauthenticatedError):
                    response.headers["WWW-Authenticate"] = 'Bearer realm="trainyard"'
                return await response(scope, receive_and_count, send_and_count)
            await self._app(scope, receive_and_count, send_and_count)
