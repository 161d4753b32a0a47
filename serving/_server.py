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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import uvicorn

import storage
from model_store import ModelStore
from serving._options import MIB
from serving.http.connections import protocol, raise_file_limit
from serving.inference.canary import CanaryLane
from serving.inference.inference import Inference
from serving.inference.record import RecordOptions, RequestRecord
from serving.metrics import Metrics
from serving.metrics.monitored import Monitored
from serving.models.manager import ModelManager
from serving.tfserving.grpc_services import make_server
from serving.tfserving.rest import RestApi

_log = logging.getLogger("serving")

_CANARY_PART = 2
"""A canary that hangs blocks at most one in this many threads; the others remain for the stable version."""


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
    metrics = Metrics()
    store = ModelStore(options.store)
    manager = ModelManager(store, options.model, options.cache, metrics)
    lane = CanaryLane(max(1, options.threads // _CANARY_PART), options.canary_seconds)
    record = _open_record(options, metrics)
    inference = Inference(manager, metrics, options.max_in_flight, lane, record)
    threads = ThreadPoolExecutor(options.threads, thread_name_prefix="rest")
    max_bytes = int(options.max_request_mb * MIB)
    grpc_server = make_server(inference, options.threads, max_bytes, options.max_in_flight)
    grpc_port = _bind(grpc_server, options.host, options.grpc_port)
    http = _HttpServer(_uvicorn_config(RestApi(inference, threads, max_bytes, options.silence_seconds), options))

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    http_task = asyncio.create_task(http.serve(sockets=[listener]))
    grpc_server.start()
    manager.start(options.poll_seconds)
    try:
        await _first_pass(manager, stop)
        ready()
        if not stop.is_set():
            _insist_ready(manager, store, options)
            _announce(listener.getsockname()[1], grpc_port, options, manager)
            await stop.wait()
    finally:
        await _drain(inference, manager, http, http_task, grpc_server, options.drain_seconds)
        threads.shutdown(wait=False, cancel_futures=True)
        lane.close()
        if record is not None:
            await asyncio.to_thread(record.close)
        if options.ready_file:
            options.ready_file.unlink(missing_ok=True)


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


def _uvicorn_config(api: RestApi, options: argparse.Namespace) -> uvicorn.Config:
    return uvicorn.Config(
        api.app,
        log_config=None,
        log_level="warning",
        access_log=False,
        http=protocol(options.silence_seconds),  # type: ignore[arg-type]  # a class, or what makes one
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=int(options.drain_seconds) + 1,
    )


def _bind(server: grpc.Server, host: str, port: int) -> int:
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = int(server.add_insecure_port(address))
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
    _log.info("%s: REST http://%s:%d/v1/models, gRPC %s:%d", state, options.host, rest_port, options.host, grpc_port)
    if options.ready_file:
        told = json.dumps({"rest": rest_port, "grpc": grpc_port, "pid": os.getpid()})
        storage.write(str(options.ready_file.absolute()), f"{told}\n".encode())


async def _drain(
    inference: Inference,
    manager: ModelManager,
    http: uvicorn.Server,
    http_task: asyncio.Task[None],
    grpc_server: grpc.Server,
    seconds: float,
) -> None:
    """Refuses new requests, answers those in progress, then closes."""
    inference.draining = True
    manager.stop()
    _log.info("stopping: %d requests under way", inference.in_flight)
    grpc_stopped = grpc_server.stop(seconds)
    http.should_exit = True
    await http_task
    await asyncio.to_thread(grpc_stopped.wait, seconds + 1)
    _log.info("stopped")
