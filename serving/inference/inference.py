"""Shared by REST and gRPC: finds the version for a request, and limits, counts and records requests."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from serving.codec.tensors import Arrays
from serving.errors import BadRequestError, BusyError, NotReadyError, ServingError
from serving.inference.canary import CanaryLane, CanaryTimeoutError, LaneFullError, NotFiniteError, insist_finite
from serving.inference.record import RequestRecord
from serving.metrics import Metrics
from serving.models.manager import ModelManager
from serving.models.servable import Servable, Signature
from spec.signatures import EXPLAIN

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
_CANARY = "canary"
METADATA = "metadata"


class Call:
    """A request in progress: which version answers, its inputs, its outputs, and whether these are predictions."""

    def __init__(self, request_id: str, servable: Servable, label: str) -> None:
        self.request_id = request_id
        self.servable = servable
        self.label = label
        self.inputs: Arrays = {}
        self.outputs: Arrays = {}
        self.predicts = True

    def run(self, signature: Signature, arrays: Arrays) -> Arrays:
        """Runs a signature on raw features."""
        self.outputs = self.servable.run(signature, arrays)
        self.predicts = signature.name != EXPLAIN
        if not signature.takes_examples:
            self.inputs = arrays
        return self.outputs

    def classify(
        self, signature: Signature, examples: np.ndarray[Any, Any]
    ) -> tuple[np.ndarray[Any, Any] | None, np.ndarray[Any, Any]]:
        """Classes and scores of serialized examples."""
        classes, scores = self.servable.classify(signature, examples)
        self.outputs = {"scores": scores}
        return classes, scores

    def regress(self, signature: Signature, examples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Values of serialized examples."""
        values = self.servable.regress(signature, examples)
        self.outputs = {"outputs": values}
        return values


@dataclasses.dataclass(frozen=True)
class Request:
    """What a request asks for."""

    id: str
    protocol: str
    method: str
    model: str
    version: int | None = None
    label: str | None = None


class Inference:
    """Finds the version for each request, limits how many run at once, and counts and records them.

    Args:
        max_in_flight: further requests are refused.
        lane: runs the canary's share; None: there is no canary share.
        record: records requests; None: they are not recorded.
    """

    def __init__(
        self,
        manager: ModelManager,
        metrics: Metrics,
        max_in_flight: int,
        lane: CanaryLane | None = None,
        record: RequestRecord | None = None,
    ) -> None:
        self.manager = manager
        self.metrics = metrics
        self._max_in_flight = max_in_flight
        self._lane = lane
        self._record = record
        self._in_flight = 0
        self._lock = threading.Lock()
        self.draining = False

    def accept(self) -> None:
        """Lets a request begin, which has a place only after `admit`.

        Raises:
            NotReadyError: the server is stopping.
        """
        if self.draining:
            raise NotReadyError("the server is stopping; ask another one")

    def admit(self) -> None:
        """Gives a request that is whole a place; `leave` must follow.

        Raises:
            BusyError: the limit is reached.
        """
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

    def answer(self, request: Request, work: Callable[[Call], _Answer]) -> _Answer:
        """Answers a request with the version it names, otherwise with stable, or with the canary for its share of requests.

        If the canary fails, hangs or answers NaN, stable answers, and the caller only loses time.

        Args:
            work: decodes, runs and encodes; called again for stable if the canary failed.
        """
        if self._lane is None or request.version is not None or request.label or request.method == METADATA:
            return self._answer_by_label(request, work)
        canary = self.manager.canary_for(request.model)
        if canary is None:
            return self._answer_by_label(request, work)
        return self._answer_by_canary(self._lane, canary, request, work)

    def _answer_by_label(self, request: Request, work: Callable[[Call], _Answer]) -> _Answer:
        started = time.perf_counter()
        names = ("", "", "")
        code = "OK"
        try:
            servable, label = self.manager.find(request.model, request.version, request.label)
            names = (servable.model, str(servable.version), label)
            call = Call(request.id, servable, label)
            with servable.in_use():
                answer = work(call)
        except ServingError as error:
            code = error.grpc_status
            raise
        except BaseException:
            code = "INTERNAL"
            raise
        finally:
            self._count(names, request, code, time.perf_counter() - started)
        self._observe(call)
        return answer

    def _answer_by_canary(
        self, lane: CanaryLane, canary: Servable, request: Request, work: Callable[[Call], _Answer]
    ) -> _Answer:
        started = time.perf_counter()
        call = Call(request.id, canary, _CANARY)
        names = (canary.model, str(canary.version), _CANARY)

        def attempt() -> _Answer:
            with canary.in_use():
                answer = work(call)
            insist_finite(call.outputs)
            return answer

        try:
            answer = lane.run(attempt)
        except LaneFullError:
            self.metrics.fallbacks.labels(canary.model, canary.version, "busy").inc()
            return self._answer_by_label(request, work)
        except Exception as error:
            failure, seconds = error, time.perf_counter() - started
        else:
            self._count(names, request, "OK", time.perf_counter() - started)
            self._observe(call)
            return answer
        return self._answer_instead(names, request, work, failure, seconds)

    def _answer_instead(
        self,
        names: tuple[str, str, str],
        request: Request,
        work: Callable[[Call], _Answer],
        failure: Exception,
        seconds: float,
    ) -> _Answer:
        """Answers with the stable version after the canary failed, and counts whose fault it was."""
        try:
            answer = self._answer_by_label(request, work)
        except BaseException:
            # Both refuse: the request is at fault, or everything is. Either way the canary is not to blame.
            code = failure.grpc_status if isinstance(failure, ServingError) else "INTERNAL"
            self._count(names, request, code, seconds)
            raise
        code = failure.grpc_status if isinstance(failure, CanaryTimeoutError) else "INTERNAL"
        self._count(names, request, code, seconds)
        self.metrics.fallbacks.labels(names[0], names[1], _reason(failure)).inc()
        if not isinstance(failure, ServingError):
            _log.error("%s version %s (canary) failed", names[0], names[1], exc_info=failure)
        return answer

    def _count(self, names: tuple[str, str, str], request: Request, code: str, seconds: float) -> None:
        self.metrics.requests.labels(*names, request.method, request.protocol, code).inc()
        self.metrics.seconds.labels(*names, request.method, request.protocol).observe(seconds)

    def _observe(self, call: Call) -> None:
        """Counts and records an answer; failures here must not cost the caller the answer."""
        if not (call.outputs and call.predicts):
            return
        try:
            self.metrics.count_predictions(call.servable.model, call.servable.version, call.outputs)
            if self._record is not None and call.inputs:
                self._record.offer(call.request_id, call.servable, call.label, call.inputs, call.outputs)
        except Exception:
            _log.exception("%s version %d: an answer could not be counted", call.servable.model, call.servable.version)


def _reason(failure: Exception) -> str:
    if isinstance(failure, CanaryTimeoutError):
        return "timeout"
    if isinstance(failure, NotFiniteError):
        return "not finite"
    return "refused" if isinstance(failure, BadRequestError) else "failed"
