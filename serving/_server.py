"""Puts the parts together (store, models, REST, gRPC), and starts and stops them in order."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator

import grpc
import grpc.aio
import uvicorn
from grpc_reflection.v1alpha.reflection import SERVICE_NAME as REFLECTION
from grpc_reflection.v1alpha.reflection import enable_server_reflection
from starlette.types import ASGIApp

import storage
import tracing
from model_store import ModelStore
from serving._options import MIB
from serving.access.opening import Access
from serving.http.app import Application
from serving.http.aside import Aside
from serving.http.bodies import Bodies
from serving.http.connections import Connections, raise_file_limit
from serving.http.platform import PlatformApi
from serving.inference.inference import Inference
from serving.inference.record import RecordOptions, RequestRecord
from serving.metrics import Metrics
from serving.metrics.monitored import Monitored
from serving.models.lane import LaneOptions
from serving.models.manager import ModelManager
from serving.open_inference import grpc_service
from serving.open_inference.rest import OpenInferenceApi
from serving.rpc.health import SERVICE as HEALTH
from serving.rpc.health import add_health
from serving.tfserving.grpc_services import SERVICES as TF_SERVING
from serving.tfserving.grpc_services import add_services
from serving.tfserving.rest import BELOW, TfServingApi

_log = logging.getLogger("serving")

_ASIDE_THREADS = 2  # Python runs in one at a time


class CannotServeError(Exception):
    """The server cannot start with these options; the message says what to change."""


class _HttpServer(uvicorn.Server):
    """Leaves signals to `serve`, which has to drain the gRPC server as well."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(options: argparse.Namespace, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains.

    Args:
        ready: called when every existing model answers.

    Raises:
        CannotServeError: the gRPC port is taken, or with --fail-fast a model cannot be served.
    """
    raise_file_limit()
    tracing.start("trainyard-serving")
    metrics = Metrics()
    access = Access(options, metrics)
    store = ModelStore(options.store)
    manager = ModelManager(store, options.model, options.cache, metrics, _lane_options(options))
    record = _open_record(options, metrics)
    inference = Inference(manager, metrics, options.canary_seconds, record)
    aside = Aside(_ASIDE_THREADS)
    grpc_server = _grpc_server(options, access)
    add_services(grpc_server, inference, aside)
    grpc_service.add_service(grpc_server, inference, aside)
    add_health(grpc_server, inference)
    if options.grpc_reflection:
        enable_server_reflection((*TF_SERVING, grpc_service.SERVICE, HEALTH, REFLECTION), grpc_server)
    grpc_port = _bind(grpc_server, access, options.host, options.grpc_port)
    bodies = Bodies(metrics, aside, int(options.max_request_mb * MIB))
    tf_serving, open_inference = TfServingApi(inference, bodies, aside), OpenInferenceApi(inference, bodies, aside)
    routes = [*PlatformApi(inference).routes, *tf_serving.routes, *open_inference.routes]
    connections = Connections(options.silence_seconds, lambda: inference.leaving)
    app = Application(routes, BELOW, tf_serving.models)
    http = _HttpServer(_uvicorn_config(access.before(app), access, connections, options))

    stop = asyncio.Event()
    duck = 0.0

    def ask_to_stop(lame_duck: float) -> None:
        nonlocal duck
        duck = 0.0 if stop.is_set() else lame_duck
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, ask_to_stop, options.lame_duck_seconds)
    loop.add_signal_handler(signal.SIGINT, ask_to_stop, 0.0)
    sweeping = asyncio.create_task(connections.sweep())
    http_task = asyncio.create_task(http.serve(sockets=[listener]))
    await grpc_server.start()
    manager.start(options.poll_seconds)
    try:
        await _first_pass(manager, stop)
        ready()
        if not stop.is_set():
            _insist_ready(manager, store, options)
            _announce(listener.getsockname()[1], grpc_port, options, manager)
            await stop.wait()
            await _be_lame_duck(inference, lambda: duck)
    finally:
        await _drain(inference, manager, http, http_task, grpc_server, options.drain_seconds)
        sweeping.cancel()
        aside.close()
        if record is not None:
            await asyncio.to_thread(record.close)
        await asyncio.to_thread(access.close)
        if options.ready_file:
            options.ready_file.unlink(missing_ok=True)


def _lane_options(options: argparse.Namespace) -> LaneOptions:
    return LaneOptions(
        options.threads,
        options.max_batch_size,
        options.batch_timeout_micros,
        options.max_in_flight,
        options.queue_seconds,
    )


def _grpc_server(options: argparse.Namespace, access: Access) -> grpc.aio.Server:
    return grpc.aio.server(
        interceptors=access.interceptors(),
        maximum_concurrent_rpcs=options.max_in_flight,
        options=[
            ("grpc.so_reuseport", 0),  # otherwise a second server would silently share the port
            ("grpc.max_receive_message_length", int(options.max_request_mb * MIB)),
            ("grpc.max_send_message_length", -1),
            ("grpc.server_handshake_timeout_ms", int(options.silence_seconds * 1000)),
        ],
    )


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
    metrics.registry.register(Monitored(bounds.folder))
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


async def _first_pass(manager: ModelManager, stop: asyncio.Event) -> None:
    while not stop.is_set() and not manager.wait_for_first_pass(0):
        await asyncio.sleep(0.05)


def _insist_ready(manager: ModelManager, store: ModelStore, options: argparse.Namespace) -> None:
    if not options.fail_fast:
        return
    if not manager.models():
        raise CannotServeError(f"--fail-fast: no model in {store.uri} has a label.")
    missing = [f"{name}: {model.why_not}" for name, model in manager.models().items() if not model.ready]
    if missing:
        raise CannotServeError(f"--fail-fast: {'; '.join(missing)}")


def _announce(rest_port: int, grpc_port: int, options: argparse.Namespace, manager: ModelManager) -> None:
    waiting = [name for name, model in manager.models().items() if not model.ready]
    state = f"waiting for {', '.join(waiting)}" if waiting else "ready"
    http = "https" if options.tls_cert else "http"
    _log.info(
        "%s: REST %s://%s:%d/v1/models, gRPC %s:%d", state, http, options.host, rest_port, options.host, grpc_port
    )
    if options.ready_file:
        told = json.dumps({"rest": rest_port, "grpc": grpc_port, "pid": os.getpid()})
        storage.write(str(options.ready_file.absolute()), f"{told}\n".encode())


async def _be_lame_duck(inference: Inference, seconds: Callable[[], float]) -> None:
    """Answers, but says that it is leaving, until those who choose among servers have noticed."""
    inference.leaving = True
    began = time.monotonic()
    while time.monotonic() - began < seconds():
        await asyncio.sleep(0.05)


async def _drain(
    inference: Inference,
    manager: ModelManager,
    http: uvicorn.Server,
    http_task: asyncio.Task[None],
    grpc_server: grpc.aio.Server,
    seconds: float,
) -> None:
    """Refuses new requests, answers those in progress, then closes."""
    inference.leaving = inference.draining = True
    manager.stop()
    _log.info("stopping: %d requests under way", inference.in_flight)
    http.should_exit = True
    await asyncio.gather(http_task, grpc_server.stop(seconds))
    _log.info("stopped")
