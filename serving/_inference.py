"""How a request finds its version, is bounded and is counted: what REST and gRPC share."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from serving._errors import BusyError, NotReadyError, ServingError
from serving._metrics import Metrics
from serving._models import ModelManager
from serving._servable import Servable


class Call:
    """One request under way: what it asked for, and which version answers."""

    def __init__(self, servable: Servable, label: str) -> None:
        self.servable = servable
        self.label = label


class Inference:
    """Finds the version for each request, bounds how many run, and counts them.

    Args:
        max_in_flight: more requests than this at once are refused.
    """

    def __init__(self, manager: ModelManager, metrics: Metrics, max_in_flight: int) -> None:
        self.manager = manager
        self.metrics = metrics
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._lock = threading.Lock()
        self.draining = False

    def admit(self) -> None:
        """Takes a place, to be given back by `leave`.

        Raises:
            BusyError: all places are taken.
            NotReadyError: the server is stopping.
        """
        if self.draining:
            raise NotReadyError("the server is stopping; ask another one")
        with self._lock:
            if self._in_flight >= self._max_in_flight:
                self.metrics.rejected.labels("busy").inc()
                raise BusyError(
                    f"{self._max_in_flight} requests are under way, which is the limit (--max-in-flight); try again"
                )
            self._in_flight += 1
        self.metrics.in_flight.inc()

    def leave(self) -> None:
        with self._lock:
            self._in_flight -= 1
        self.metrics.in_flight.dec()

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @contextmanager
    def call(
        self, protocol: str, method: str, model: str, version: int | None = None, label: str | None = None
    ) -> Iterator[Call]:
        """Finds the version that answers, holds it while it does, and counts the request."""
        started = time.perf_counter()
        names = ["", "", ""]
        code = "OK"
        try:
            servable, by_label = self.manager.find(model, version, label)
            names = [servable.model, str(servable.version), by_label]
            with servable.in_use():
                yield Call(servable, by_label)
        except ServingError as error:
            code = error.grpc_status
            raise
        except BaseException:
            code = "INTERNAL"
            raise
        finally:
            self.metrics.requests.labels(*names, method, protocol, code).inc()
            self.metrics.seconds.labels(*names, method, protocol).observe(time.perf_counter() - started)
