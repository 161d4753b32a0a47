"""`/openapi.json`, and the page `/docs`."""

from __future__ import annotations

import pathlib
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.models.manager import ModelManager
from serving.openapi._document import document

_PAGE = pathlib.Path(__file__).with_name("page")
_FILES = {
    "/docs": ("page.html", "text/html"),
    "/docs/page.css": ("page.css", "text/css"),
    "/docs/page.js": ("page.js", "text/javascript"),
}
_HEADERS = {
    # Nothing from elsewhere, nothing inline, and in no other page's frame.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class OpenApi:
    """The document is made anew for each request: models come and go."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager
        self.routes = [Route("/openapi.json", self._document)]
        self.routes += [Route(path, _file(name, media_type)) for path, (name, media_type) in _FILES.items()]

    async def _document(self, _: Request) -> Response:
        return Response(orjson.dumps(document(self._manager.models())), media_type="application/json")


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    content = (_PAGE / name).read_bytes()

    async def endpoint(_: Request) -> Response:
        return Response(content, headers=_HEADERS, media_type=media_type)

    return endpoint
