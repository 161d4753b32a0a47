"""The HTTP application: the routes of every API, and what is said where there is none."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from serving.http.responses import error_response

_log = logging.getLogger(__name__)
Endpoint = Callable[[Request], Awaitable[Response]]


class Application:
    """Every API's routes.

    Args:
        predictions: answers what is below `below`. Such a request takes no other way: to find its route among many costs more than to
            answer it.
    """

    def __init__(self, routes: Sequence[BaseRoute], below: str, predictions: Endpoint) -> None:
        self._below, self._predictions = below, predictions
        self._others = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed, 500: _broken})
        self._others.router.redirect_slashes = False  # to wherever the caller's Host header says

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(self._below):
            await self._others(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._predictions(request)
        except Exception as error:
            response = await _broken(request, error)
        await response(scope, receive, send)


async def _not_found(request: Request, _: Exception) -> Response:
    return error_response(404, f"there is nothing at {request.scope['path']}. Models are at /v1/models/<model>.")


async def _not_allowed(request: Request, _: Exception) -> Response:
    return error_response(405, f"{request.scope['path']} does not take {request.method}.")


async def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s failed", request.scope["path"], exc_info=error)
    return error_response(500, f"the server failed: {type(error).__name__}. Its log says more.")
