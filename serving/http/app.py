"""The HTTP application: the routes of every API, and what is said where there is none."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from serving.http.responses import error_response

_log = logging.getLogger(__name__)


def application(routes: Sequence[BaseRoute]) -> Starlette:
    app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_allowed, 500: _broken})
    app.router.redirect_slashes = False  # to wherever the caller's Host header says
    return app


async def _not_found(request: Request, _: Exception) -> Response:
    return error_response(404, f"there is nothing at {request.url.path}. Models are at /v1/models/<model>.")


async def _not_allowed(request: Request, _: Exception) -> Response:
    return error_response(405, f"{request.url.path} does not take {request.method}.")


async def _broken(request: Request, error: Exception) -> Response:
    _log.error("%s failed", request.url.path, exc_info=error)
    return error_response(500, f"the server failed: {type(error).__name__}. Its log says more.")
