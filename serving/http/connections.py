"""HTTP connections that are bounded in time and size: uvicorn waits for a request's head for ever, and keeps whatever it has of it."""

from __future__ import annotations

import asyncio
import functools
import resource
from asyncio.events import TimerHandle
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEAD_BYTES = 64 * 1024
_MOST_FILES = 65_536


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose request has no whole head in time, or one that is too large.

    Args:
        seconds: from the connection, or the head's first byte, to its last.
        leaving: whether a connection ends with the answer to its request.
    """

    def __init__(self, *arguments: Any, seconds: float, leaving: Callable[[], bool], **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._seconds, self._leaving = seconds, leaving
        self._head_timer: TimerHandle | None = None
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._head_timer is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        if self._leaving():
            self.headers.append((b"connection", b"close"))
        super().on_headers_complete()

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self._seconds, self._head_is_late)

    def _end_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
        self._head_timer, self._head_bytes = None, 0

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.pipeline or (self.cycle is not None and not self.cycle.response_complete):
            self._await_head()  # nothing is read while an answer is under way
        else:
            self._refuse(b"408 Request Timeout")

    def _refuse(self, status: bytes) -> None:
        self._end_head()
        if not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self.transport.close()


def protocol(seconds: float, leaving: Callable[[], bool]) -> Callable[..., asyncio.Protocol]:
    """What uvicorn makes of each connection."""
    return functools.partial(BoundedHttp, seconds=seconds, leaving=leaving)


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
