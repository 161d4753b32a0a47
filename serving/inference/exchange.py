"""What is known of the request under way: filled in by all that it passes, told by the access log and the trace."""

from __future__ import annotations

import contextvars
import dataclasses
import datetime
import time
from typing import Any


@dataclasses.dataclass(slots=True)
class Exchange:
    """A request and its answer, without what either says.

    Attributes:
        protocol: rest or grpc.
        path: of the URL, without a query; of gRPC, service and method.
        trace_id: of the caller's trace, or of ours; empty where there is none.
        key: the API key's name; empty where none is asked for.
        method: predict, classify and so on; empty where no model was asked.
        rows: of the answer.
        code: HTTP's status, or the name of gRPC's.
        bytes_in: of the body, as it came.
        seconds: from the head to the answer's last byte.
    """

    protocol: str
    path: str
    request_id: str = ""
    trace_id: str = ""
    key: str = ""
    method: str = ""
    model: str = ""
    version: str = ""
    label: str = ""
    rows: int = 0
    code: int | str = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    began: float = dataclasses.field(default_factory=time.perf_counter)
    at: datetime.datetime = dataclasses.field(default_factory=lambda: datetime.datetime.now(datetime.UTC))

    def end(self) -> None:
        self.seconds = time.perf_counter() - self.began


_current: contextvars.ContextVar[Exchange | None] = contextvars.ContextVar("exchange", default=None)


def begin(exchange: Exchange) -> contextvars.Token[Exchange | None]:
    """Makes an exchange the current task's; `end` ends that."""
    return _current.set(exchange)


def end(token: contextvars.Token[Exchange | None]) -> None:
    _current.reset(token)


def note(**known: Any) -> None:
    """Fills in attributes of the current exchange, if there is one."""
    if (exchange := _current.get()) is not None:
        for name, value in known.items():
            setattr(exchange, name, value)
