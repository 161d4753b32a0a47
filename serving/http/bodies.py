"""Reading a request's body: bounded in size and time, and in what all requests hold together."""

from __future__ import annotations

import zlib

from starlette.requests import Request

from serving.errors import BadRequestError, BusyError, TooLargeError
from serving.http.aside import Aside
from serving.metrics import Metrics

_BODIES_AT_ONCE = 16
"""As many of the largest size may be held at a time, or more that are smaller."""


class Bodies:
    """Reads bodies; how long one may take is bounded by its connection.

    Args:
        aside: unpacks what is compressed.
        max_bytes: the largest accepted body.
    """

    def __init__(self, metrics: Metrics, aside: Aside, max_bytes: int) -> None:
        self._metrics, self._aside = metrics, aside
        self._max_bytes = max_bytes
        self._held = 0

    def read(self, request: Request) -> _Held:
        """The whole body, for `async with`; it counts as held until the end.

        Raises:
            BadRequestError: it is not the gzip that it says, or the client left.
            TooLargeError: it has more bytes than one may have.
            BusyError: all that are held have.
        """
        return _Held(self, request)

    async def hold(self, request: Request) -> bytes:
        """The whole body, which counts as held until `release`."""
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large(f"{declared} bytes")
        body = await self._collected(request)
        if encoding := request.headers.get("content-encoding", "").strip().lower():
            try:
                unpacked = await self._aside.run(self._max_bytes, lambda: self._unpacked(body, encoding))
            finally:
                self._held -= len(body)
            self._held += len(unpacked)
            return unpacked
        return body

    def release(self, body: bytes) -> None:
        """Ends a body's hold."""
        self._held -= len(body)

    async def _collected(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            while True:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise BadRequestError("the client disconnected before the body was complete.")
                chunk = message.get("body", b"")
                chunks.append(chunk)
                size += len(chunk)
                self._held += len(chunk)
                if size > self._max_bytes:
                    raise self._too_large(f"more than {self._max_bytes} bytes")
                if self._held > self._max_bytes * _BODIES_AT_ONCE:
                    self._metrics.rejected.labels("busy").inc()
                    raise BusyError("too many large bodies are held at once; try again")
                if not message.get("more_body", False):
                    return chunk if len(chunks) == 1 else b"".join(chunks)
        except BaseException:
            self._held -= size
            raise

    def _unpacked(self, body: bytes, encoding: str) -> bytes:
        """A compressed body as it was before; it may have no more bytes than one that is not compressed."""
        if encoding == "identity":
            return body
        if encoding not in ("gzip", "x-gzip"):
            raise BadRequestError(f"Content-Encoding: gzip is known, or none. Received: {encoding!r}")
        unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            found = unpacker.decompress(body, self._max_bytes + 1)
        except zlib.error as error:
            raise BadRequestError(f"the body is not valid gzip: {error}.") from None
        if len(found) > self._max_bytes:
            raise self._too_large(f"more than {self._max_bytes} bytes, unpacked")
        if not unpacker.eof:
            raise BadRequestError("the body is not valid gzip: it breaks off.")
        return found

    def _too_large(self, received: str) -> TooLargeError:
        self._metrics.rejected.labels("too large").inc()
        return TooLargeError(
            f"the body may have {self._max_bytes} bytes (--max-request-mb). Received: {received}. "
            "Send fewer instances at once."
        )


class _Held:
    """A body while it is held."""

    __slots__ = ("_bodies", "_body", "_request")

    def __init__(self, bodies: Bodies, request: Request) -> None:
        self._bodies, self._request = bodies, request

    async def __aenter__(self) -> bytes:
        self._body = await self._bodies.hold(self._request)
        return self._body

    async def __aexit__(self, *_: object) -> None:
        self._bodies.release(self._body)
