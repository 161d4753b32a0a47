"""Puts the parts together (store, models, REST, gRPC), and starts and stops them in order."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import pathlib
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import grpc
import grpc.aio
import uvicorn
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc
from starlette.types import ASGIApp

import tracing
from model_store import ModelStore
from serving._announcing import CannotServeError, announce, insist_ready
from serving._options import MIB
from serving.access.opening import Access
from serving.http.app import Application
from serving.http.aside import Aside
from serving.http.bodies import Bodies
from serving.http.connections import Connections, raise_file_limit
from serving.http.platform import PlatformApi
from serving.images.fetching import Images
from serving.inference.answer_cache import AnswerCache
from serving.inference.inference import Inference
from serving.inference.record import RecordOptions, RequestRecord
from serving.metrics import Metrics
from serving.metrics.monitored import Monitored
from serving.models.batching import Batching, PerModel
from serving.models.lane import LaneOptions
from serving.models.manager import ModelManager
from serving.models.source import Source, StoreSource
from serving.open_inference import grpc_service
from serving.open_inference.rest import OpenInferenceApi
from serving.openapi.api import OpenApi
from serving.rpc.health import SERVICE as HEALTH
from serving.rpc.health import add_health
from serving.rpc.methods import Methods
from serving.tfserving.grpc_services import SERVICES as TF_SERVING
from serving.tfserving.grpc_services import add_services
from serving.tfserving.rest import BELOW, TfServingApi

_log = logging.getLogger("serving")

_ASIDE_THREADS = 2  # Python runs in one at a time
_BACKLOG = 1024


class Host(Protocol):
    """Where a server runs: alone, or as one of several workers.

    Attributes:
        source: what it serves.
        grpc_port: to bind; 0: any free one.
        begins_at_once: whether it takes requests before it has loaded anything; those wait, or are refused with the reason.
        poll_seconds: how often to ask the source.
        shared: the folder that it shares with other processes at its ports; None: there are no others.
    """

    source: Source
    grpc_port: int
    begins_at_once: bool
    poll_seconds: float
    shared: pathlib.Path | None

    def began(self, manager: ModelManager, rest_port: int, grpc_port: int) -> None:
        """Each model has been tried once. Raises CannotServeError: that is not enough."""

    async def accompany(self, manager: ModelManager, metrics: Metrics) -> None:
        """Runs beside the server until it is cancelled."""

    def ended(self) -> None:
        """The last request is answered."""


class Stop:
    """When to stop, and how long to be a lame duck before: to answer, but say that the server is leaving."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._until = 0.0

    def ask(self, lame_duck: float) -> None:
        """Asks to stop after some seconds; asked again, at once."""
        self._until = 0.0 if self._asked.is_set() else time.monotonic() + lame_duck
        self._asked.set()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    async def wait(self) -> None:
        """Until it is asked for."""
        await self._asked.wait()

    async def be_lame_duck(self) -> None:
        while time.monotonic() < self._until:
            await asyncio.sleep(0.05)


class Alone:
    """A server that is the only one of its process and ports.

    Args:
        ready: called when each model has been tried once.
    """

    begins_at_once = True
    shared: pathlib.Path | None = None

    def __init__(self, options: argparse.Namespace, ready: Callable[[], None]) -> None:
        self.source: Source = StoreSource(ModelStore(options.store, memory=options.cache), options.cache)
        self.grpc_port, self.poll_seconds = options.grpc_port, options.poll_seconds
        self._options, self._ready = options, ready

    def began(self, manager: ModelManager, rest_port: int, grpc_port: int) -> None:
        self._ready()
        insist_ready(self._options, manager.models().keys(), manager.why_not())
        announce(self._options, rest_port, grpc_port, manager.why_not())

    async def accompany(self, manager: ModelManager, metrics: Metrics) -> None:
        return

    def ended(self) -> None:
        if self._options.ready_file:
            self._options.ready_file.unlink(missing_ok=True)


class _HttpServer(uvicorn.Server):
    """Leaves signals to `serve`, which has to drain the gRPC server as well."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(options: argparse.Namespace, listener: socket.socket, host: Host) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Raises:
        CannotServeError: the gRPC port is taken, or with --fail-fast a model cannot be served.
    """
    raise_file_limit()
    tracing.start("trainyard-serving")
    metrics = Metrics()
    access = Access(options, metrics, host.shared)
    manager = ModelManager(host.source, options.model, metrics, _batching(options))
    record = _open_record(options, metrics)
    inference = Inference(manager, metrics, options.canary_seconds, record)
    aside = Aside(_ASIDE_THREADS)
    grpc_server = _grpc_server(options, access, host, inference, aside)
    grpc_port = _bind(grpc_server, access, options.host, host.grpc_port)
    connections = Connections(options.silence_seconds, lambda: inference.leaving)
    app = access.before(_application(options, metrics, inference, aside))
    http = _HttpServer(_uvicorn_config(app, access, connections, options))

    stop = Stop()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.ask, options.lame_duck_seconds)
    loop.add_signal_handler(signal.SIGINT, stop.ask, 0.0)
    manager.start(host.poll_seconds)
    beside = [asyncio.create_task(one) for one in (connections.sweep(), host.accompany(manager, metrics))]
    answering: asyncio.Task[None] | None = None
    try:
        if not host.begins_at_once:
            await _first_pass(manager, stop)
        await grpc_server.start()
        answering = asyncio.create_task(http.serve(sockets=[listener]))
        await _listening(http, listener, answering)
        await _first_pass(manager, stop)
        if not stop.asked:
            host.began(manager, listener.getsockname()[1], grpc_port)
            await stop.wait()
            inference.leaving = True
            await stop.be_lame_duck()
    finally:
        await _drain(inference, manager, http, answering, grpc_server, options.drain_seconds)
        for one in beside:
            one.cancel()
        aside.close()
        if record is not None:
            await asyncio.to_thread(record.close)
        await asyncio.to_thread(access.close)
        host.ended()


def _application(options: argparse.Namespace, metrics: Metrics, inference: Inference, aside: Aside) -> Application:
    max_bytes = int(options.max_request_mb * MIB)
    bodies, images = Bodies(metrics, aside, max_bytes), Images(options.image_urls, max_bytes)
    cache = AnswerCache(int(options.answer_cache_mb * MIB), metrics) if options.answer_cache_mb else None
    tf_serving = TfServingApi(inference, bodies, aside, images, cache)
    open_inference = OpenInferenceApi(inference, bodies, aside)
    routes = [
        *PlatformApi(inference).routes,
        *tf_serving.routes,
        *open_inference.routes,
        *OpenApi(inference.manager).routes,
    ]
    return Application(routes, BELOW, tf_serving.models)


def _batching(options: argparse.Namespace) -> Batching:
    lane = LaneOptions(
        threads=options.threads,
        max_in_flight=options.max_in_flight,
        seconds=options.queue_seconds,
        max_rows=options.max_rows,
    )
    return Batching(lane, _per_model(options.max_batch_size), _per_model(options.batch_timeout_micros))


def _per_model(given: Sequence[tuple[str, int]]) -> PerModel:
    by_model = dict(given)
    return PerModel(by_model.pop(""), by_model)


def _grpc_server(
    options: argparse.Namespace, access: Access, host: Host, inference: Inference, aside: Aside
) -> grpc.aio.Server:
    server = grpc.aio.server(
        interceptors=access.interceptors(),
        maximum_concurrent_rpcs=options.max_in_flight,
        options=[
            (
                "grpc.so_reuseport",
                int(host.shared is not None),
            ),  # otherwise a second server would silently share the port
            ("grpc.max_receive_message_length", int(options.max_request_mb * MIB)),
            ("grpc.max_send_message_length", -1),
            ("grpc.server_handshake_timeout_ms", int(options.silence_seconds * 1000)),
        ],
    )
    methods = Methods(server)
    add_services(methods, inference, aside)
    grpc_service.add_service(methods, inference, aside)
    add_health(methods, inference)
    if options.grpc_reflection:
        services = (*TF_SERVING, grpc_service.SERVICE, HEALTH, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflection.aio.ReflectionServicer(services), methods)
    return server


def _open_record(options: argparse.Namespace, metrics: Metrics) -> RequestRecord | None:
    if options.record is None:
        return None
    bounds = RecordOptions(
        options.record,
        options.record_rate,
        int(options.record_mb * MIB),
        options.record_days * 86400.0,
        frozenset(options.record_exclude),
    )
    metrics.show(Monitored(bounds.folder))
    _log.info("recording %g of the requests to %s (docs/guides/serving.md)", bounds.rate, bounds.folder)
    return RequestRecord(bounds, metrics)


def _uvicorn_config(
    app: ASGIApp, access: Access, connections: Connections, options: argparse.Namespace
) -> uvicorn.Config:
    tls = access.tls
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        ws="none",
        backlog=1,  # connections to be accepted at a time: another worker may be idle
        http=connections.protocol,  # type: ignore[arg-type]  # a class, or what makes one
        ssl_context_factory=None if tls is None else lambda *_: tls.context,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=int(options.drain_seconds) + 1,
    )


def _bind(server: grpc.aio.Server, access: Access, host: str, port: int) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        if access.tls is None:
            bound = int(server.add_insecure_port(address))
        else:
            bound = int(server.add_secure_port(address, access.tls.grpc_credentials()))
    except RuntimeError:
        bound = 0
    if not bound:
        raise CannotServeError(
            f"cannot listen on {address} for gRPC. Choose another --grpc-port; 0 takes any free one."
        )
    return bound


async def _first_pass(manager: ModelManager, stop: Stop) -> None:
    while not stop.asked and not manager.wait_for_first_pass(0):
        await asyncio.sleep(0.05)


async def _listening(http: uvicorn.Server, listener: socket.socket, answering: asyncio.Task[None]) -> None:
    while not http.started and not answering.done():
        await asyncio.sleep(0.01)
    listener.listen(_BACKLOG)


async def _drain(
    inference: Inference,
    manager: ModelManager,
    http: uvicorn.Server,
    answering: asyncio.Task[None] | None,
    grpc_server: grpc.aio.Server,
    seconds: float,
) -> None:
    """Refuses new requests, answers those in progress, then closes."""
    inference.leaving = inference.draining = True
    manager.stop()
    _log.info("stopping: %d requests under way", inference.in_flight)
    http.should_exit = True
    await asyncio.gather(grpc_server.stop(seconds), *([answering] if answering else []))
    _log.info("stopped")
