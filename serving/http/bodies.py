"""Reading a request's body: bounded in size and time, and in what all requests hold together."""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect, Request

from serving.errors import BadRequestError, BusyError, TooLargeError
from serving.http.aside import Aside
from serving.metrics import Metrics

_BODY_SECONDS = 60.0
_BODIES_AT_ONCE = 16
"""As many of the largest size may be held at a time, or more that are smaller."""


class Bodies:
    """Reads bodies.

    Args:
        aside: unpacks what is compressed.
        max_bytes: the largest accepted body.
        silence: how long a body may break off, in seconds.
    """

    def __init__(self, metrics: Metrics, aside: Aside, max_bytes: int, silence: float) -> None:
        self._metrics, self._aside = metrics, aside
        self._max_bytes, self._silence = max_bytes, silence
        self._held = 0

    @contextlib.asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """The whole body, which counts as held until the end.

        Raises:
            BadRequestError: it broke off, is not the gzip that it says, or the client left.
            TooLargeError: it has more bytes than one may have.
            BusyError: all that are held have.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large(f"{declared} bytes")
        chunks: list[bytes] = []
        try:
            await self._collect(request, chunks)
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            if encoding := request.headers.get("content-encoding", "").strip().lower():
                body = await self._aside.run(self._max_bytes, lambda: self._unpacked(body, encoding))
            yield body
        except ClientDisconnect:
            raise BadRequestError("the client disconnected before the body was complete.") from None
        finally:
            self._held -= sum(map(len, chunks))

    async def _collect(self, request: Request, chunks: list[bytes]) -> None:
        size, clock = 0, asyncio.get_running_loop()
        end = clock.time() + _BODY_SECONDS
        try:
            async with asyncio.timeout(self._silence) as limit:
                async for chunk in request.stream():
                    limit.reschedule(min(end, clock.time() + self._silence))
                    chunks.append(chunk)
                    size += len(chunk)
                    self._held += len(chunk)
                    if size > self._max_bytes:
                        raise self._too_large(f"more than {self._max_bytes} bytes")
                    if self._held > self._max_bytes * _BODIES_AT_ONCE:
                        self._metrics.rejected.labels("busy").inc()
                        raise BusyError("too many large bodies are held at once; try again")
        except TimeoutError:
            raise BadRequestError(
                f"the body broke off for {self._silence:g} s (--silence-seconds), or was not whole within {_BODY_SECONDS:.0f} s."
            ) from None

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
