"""Shared by REST and gRPC: finds the version for a request, and limits, counts and records requests."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from serving.codec.tensors import Arrays
from serving.errors import BadRequestError, BusyError, NotReadyError, ServingError
from serving.inference import exchange
from serving.inference.canary import CanaryTimeoutError, NotFiniteError, in_time, insist_finite
from serving.inference.record import RequestRecord
from serving.metrics import Metrics
from serving.models.answers import Part
from serving.models.manager import ModelManager
from serving.models.servable import Servable, Signature
from spec.signatures import EXPLAIN

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
Work = Callable[["Call"], Awaitable[_Answer]]
_CANARY = "canary"
_CANARY_WAIT_SECONDS = 0.1
"""How long a request waits for a thread of the canary's: long for a healthy answer, short for a waiting caller."""
METADATA = "metadata"


class Call:
    """A request in progress: which version answers, and what.

    Args:
        wait: how many seconds it may wait for one of the version's threads; None: as the version's lane says.

    Attributes:
        part: the answer and what it was made from; None before there is one.
        recorded: whether it is an answer to raw features, which the record keeps.
        predicts: whether it is a prediction.
    """

    def __init__(self, request_id: str, servable: Servable, label: str, wait: float | None = None) -> None:
        self.request_id = request_id
        self.servable = servable
        self.label = label
        self.part: Part | None = None
        self.recorded = False
        self.predicts = True
        self._wait = wait

    async def run(self, signature: Signature, arrays: Arrays) -> Arrays:
        """Runs a signature on tensors that the version has `checked`."""
        return self._answered(signature, await self.servable.answer(signature, arrays, self._wait)).outputs

    async def run_rows(self, signature: Signature, instances: list[Any]) -> Part:
        """Decodes rows of JSON and runs a signature on them."""
        return self._answered(signature, await self.servable.answer_rows(signature, instances, self._wait))

    async def explain_rows(self, explainer: Signature, instances: list[Any]) -> Part:
        """What moved the answers to rows of JSON; they are neither counted nor recorded, for the answers were."""
        return await self.servable.answer_rows(explainer, instances, self._wait)

    async def classify(
        self, signature: Signature, examples: np.ndarray[Any, Any]
    ) -> tuple[np.ndarray[Any, Any] | None, np.ndarray[Any, Any]]:
        """Classes (bytes, [N, C]; None if the model has no names for them) and scores (float, [N, C]) of serialized examples [N]."""
        outputs = await self._run_examples(signature, examples)
        return outputs.get("classes"), outputs["scores"]

    async def regress(self, signature: Signature, examples: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Values (float, [N]) of serialized examples [N]."""
        return (await self._run_examples(signature, examples))["outputs"].reshape(len(examples))

    async def _run_examples(self, signature: Signature, examples: np.ndarray[Any, Any]) -> Arrays:
        return await self.run(signature, self.servable.checked(signature, {next(iter(signature.inputs)): examples}))

    def repeat(self, part: Part, recorded: bool, predicts: bool) -> None:
        """Answers as another request was answered before."""
        self.part, self.recorded, self.predicts = part, recorded, predicts
        exchange.note(rows=part.end - part.start)

    def _answered(self, signature: Signature, part: Part) -> Part:
        self.part = part
        exchange.note(rows=part.end - part.start)
        self.predicts = signature.name != EXPLAIN
        self.recorded = not signature.takes_examples
        return part


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
    """Finds the version for each request, and counts and records them. All of it but the models runs on the event loop.

    Args:
        canary_seconds: how long the canary may take for a request; None: there is no canary share.
        record: records requests; None: they are not recorded.

    Attributes:
        leaving: whether the server will soon stop: it answers, and is not ready.
        draining: whether the server has stopped to take requests.
    """

    def __init__(
        self,
        manager: ModelManager,
        metrics: Metrics,
        canary_seconds: float | None = None,
        record: RequestRecord | None = None,
    ) -> None:
        self.manager = manager
        self.metrics = metrics
        self._canary_seconds = canary_seconds
        self._record = record
        self._in_flight = 0
        self.leaving = self.draining = False

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @contextlib.contextmanager
    def under_way(self) -> Iterator[None]:
        """Counts a request that is whole until it is answered."""
        self._in_flight += 1
        self.metrics.in_flight.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self.metrics.in_flight.set(self._in_flight)

    def accept(self) -> None:
        """Lets a request begin.

        Raises:
            NotReadyError: the server is stopping.
        """
        if self.draining:
            raise NotReadyError("the server is stopping; ask another one")

    async def answer(self, request: Request, work: Work[_Answer]) -> _Answer:
        """Answers a request with the version it names, otherwise with stable, or with the canary for its share of requests.

        If the canary fails, hangs or answers NaN, stable answers, and the caller only loses time.

        Args:
            work: decodes, runs and encodes; called again for stable if the canary failed.
        """
        with self.under_way():
            if (
                self._canary_seconds is None
                or request.version is not None
                or request.label
                or request.method == METADATA
            ):
                return await self._answer_by_label(request, work)
            canary = self.manager.canary_for(request.model)
            if canary is None:
                return await self._answer_by_label(request, work)
            return await self._answer_by_canary(canary, self._canary_seconds, request, work)

    async def _answer_by_label(self, request: Request, work: Work[_Answer]) -> _Answer:
        started = time.perf_counter()
        names = ("", "", "")
        code = "OK"
        try:
            servable, label = self.manager.find(request.model, request.version, request.label)
            names = (servable.model, str(servable.version), label)
            _note(request, names)
            call = Call(request.id, servable, label)
            with servable.in_use():
                answer = await work(call)
        except ServingError as error:
            code = error.grpc_status
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except BaseException:
            code = "INTERNAL"
            raise
        finally:
            self._count(names, request, code, time.perf_counter() - started)
        self._observe(call)
        return answer

    async def _answer_by_canary(
        self, canary: Servable, seconds: float, request: Request, work: Work[_Answer]
    ) -> _Answer:
        started = time.perf_counter()
        call = Call(request.id, canary, _CANARY, _CANARY_WAIT_SECONDS)
        names = (canary.model, str(canary.version), _CANARY)
        try:
            with canary.in_use():
                answer = await in_time(work(call), seconds)
            if call.part is not None:
                insist_finite(call.part.outputs)
        except BusyError:
            self.metrics.fallbacks.labels(canary.model, canary.version, "busy").inc()
            return await self._answer_by_label(request, work)
        except Exception as error:
            failure, took = error, time.perf_counter() - started
        else:
            self._count(names, request, "OK", time.perf_counter() - started)
            self._observe(call)
            _note(request, names)
            return answer
        return await self._answer_instead(names, request, work, failure, took)

    async def _answer_instead(
        self,
        names: tuple[str, str, str],
        request: Request,
        work: Work[_Answer],
        failure: Exception,
        seconds: float,
    ) -> _Answer:
        """Answers with the stable version after the canary failed, and counts whose fault it was."""
        try:
            answer = await self._answer_by_label(request, work)
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
        self.metrics.count_request((*names, request.method, request.protocol), code, seconds)

    def _observe(self, call: Call) -> None:
        """Counts and records an answer; failures here must not cost the caller the answer."""
        if call.part is None or not call.predicts:
            return
        try:
            self.metrics.count_predictions(call.servable.model, call.servable.version, call.part.outputs)
            if self._record is not None and call.recorded:
                self._record.offer(call.request_id, call.servable, call.label, call.part)
        except Exception:
            _log.exception("%s version %d: an answer could not be counted", call.servable.model, call.servable.version)


def _note(request: Request, names: tuple[str, str, str]) -> None:
    """For the access log: who answers."""
    model, version, label = names
    exchange.note(request_id=request.id, method=request.method, model=model, version=version, label=label)


def _reason(failure: Exception) -> str:
    if isinstance(failure, CanaryTimeoutError):
        return "timeout"
    if isinstance(failure, NotFiniteError):
        return "not finite"
    return "refused" if isinstance(failure, BadRequestError) else "failed"
