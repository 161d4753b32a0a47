"""HTTP connections that are bounded in time and size: uvicorn waits for a request for ever, and keeps whatever it has of its head."""

from __future__ import annotations

import asyncio
import functools
import resource
import time
import weakref
from collections.abc import Callable, MutableSet
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEAD_BYTES = 64 * 1024
_MOST_BODY_SECONDS = 60.0
_MOST_FILES = 65_536


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request does not arrive in time, or whose head is too large.

    Args:
        known: all connections, for `Connections.sweep`.
        leaving: whether a connection ends with the answer to its request.
    """

    def __init__(
        self, *arguments: Any, known: MutableSet[BoundedHttp], leaving: Callable[[], bool], **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self._known, self._leaving = known, leaving
        self._bare_bytes = 0  # since the last that an application is given
        self._head_since: float | None = None
        self._body_since: float | None = None
        self._heard = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._known.add(self)
        self._head_since = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        self._known.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._bare_bytes += len(data)
        super().data_received(data)
        if self._bare_bytes > _MOST_HEAD_BYTES and (self._head_since or self._body_since) is not None:
            self._refuse(
                b"431 Request Header Fields Too Large",
                f"a head has at most {_MOST_HEAD_BYTES} bytes, and so has what stands between two parts of a body, or after the last.",
            )
        elif self._body_since is not None:
            self._heard = time.monotonic()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._bare_bytes = 0
        if self._head_since is None:
            self._head_since = time.monotonic()

    def on_headers_complete(self) -> None:
        self._head_since, self._bare_bytes = None, 0
        self._body_since = self._heard = time.monotonic()
        super().on_headers_complete()
        if self._leaving():
            self.cycle.keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._body_since is None:  # what follows a body in chunks is nobody's to read
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._bare_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._body_since, self._bare_bytes = None, 0
        super().on_message_complete()

    def check(self, now: float, seconds: float) -> None:
        """Closes the connection if what it began is late.

        Args:
            seconds: from the connection, or a head's first byte, to the head's last; and between two parts of a body.
        """
        if self._head_since is not None and now - self._head_since > seconds and not self._answers():
            self._refuse(b"408 Request Timeout", f"the head was not whole within {seconds:g} s (--silence-seconds).")
        elif self._body_since is not None and (
            now - self._heard > seconds or now - self._body_since > _MOST_BODY_SECONDS
        ):
            self._refuse(
                b"408 Request Timeout",
                f"the body broke off for {seconds:g} s (--silence-seconds), or was not whole within {_MOST_BODY_SECONDS:.0f} s.",
            )

    def _answers(self) -> bool:
        """Whether an answer is under way: nothing is read meanwhile."""
        return bool(self.pipeline) or (self.cycle is not None and not self.cycle.response_complete)

    def _refuse(self, status: bytes, message: str) -> None:
        self._head_since = self._body_since = None
        if self.transport.is_closing():
            return
        said = orjson.dumps({"error": message})
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
        self.transport.write(head % (status, len(said)) + said)
        self.transport.close()


class Connections:
    """All HTTP connections of a server.

    Args:
        seconds: from a connection, or the first byte of a request's head, to the head's last; and between two parts of a body.
        leaving: whether connections end with the answers that are under way.
    """

    def __init__(self, seconds: float, leaving: Callable[[], bool]) -> None:
        self._seconds = seconds
        self._open: MutableSet[BoundedHttp] = weakref.WeakSet()
        self.protocol: Callable[..., asyncio.Protocol] = functools.partial(
            BoundedHttp, known=self._open, leaving=leaving
        )
        """What uvicorn makes of each connection."""

    async def sweep(self) -> None:
        """Closes late connections until it is cancelled: one look at all costs less than a timer for each request."""
        while True:
            await asyncio.sleep(min(0.5, self._seconds / 4))
            now = time.monotonic()
            for connection in list(self._open):
                connection.check(now, self._seconds)


def raise_file_limit() -> None:
    """Lets this process have many open files, and so connections, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class QuickHandshakes(asyncio.SelectorEventLoop):
    """An event loop whose TLS connections are closed unless their handshake is done in time; asyncio's own bound is a minute.

    Args:
        seconds: from the connection to the end of its handshake.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:  # type: ignore[override]
        if options.get("ssl"):
            options["ssl_handshake_timeout"] = options["ssl_shutdown_timeout"] = self._seconds
        return await super().create_server(*arguments, **options)
