"""Clients that never finish what they began take nothing from the others."""

from __future__ import annotations

import contextlib
import socket
import time

import pytest

SILENCE = 3.0
HEAD = b"POST /v1/models/house:predict HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def server(publish, start, exports):
    publish("house", exports["house"])
    return start("--max-in-flight", "4", "--silence-seconds", str(SILENCE)).wait_until_ready()


@pytest.fixture
def connect(server):
    with contextlib.ExitStack() as kept:

        def one(sent: bytes = b"") -> socket.socket:
            made = kept.enter_context(socket.create_connection(("127.0.0.1", server.rest), timeout=20))
            made.sendall(sent)
            return made

        yield one


def answered(connection: socket.socket) -> bytes:
    """All that the server says until it closes the connection."""
    with contextlib.suppress(ConnectionResetError), connection.makefile("rb") as said:
        return said.read()
    return b""


def answer(connection: socket.socket) -> bytes:
    """The next answer with a body of JSON; head and body may come apart."""
    said = b""
    while not said.endswith(b"}"):
        more = connection.recv(4096)
        assert more, said
        said += more
    return said


def test_half_requests_take_no_place_and_are_closed(server, connect):
    halves = {
        "nothing": [connect() for _ in range(50)],
        "half a head": [connect(HEAD) for _ in range(100)],
        "no body": [connect(HEAD + b"Content-Length: 19\r\n\r\n") for _ in range(50)],
        "half a body": [connect(HEAD + b'Content-Length: 19\r\n\r\n{"inst') for _ in range(50)],
    }
    started = time.monotonic()
    assert all(server.post("house:predict", {"instances": [1]})[0] == 200 for _ in range(20))
    for kind, connections in halves.items():
        said = {answered(one)[:12] for one in connections}
        assert said <= {b"HTTP/1.1 408", b"HTTP/1.1 400"}, kind
    assert time.monotonic() - started < 15
    assert server.post("house:predict", {"instances": [1]})[0] == 200


def test_a_head_without_an_end_is_refused(server, connect):
    endless = connect(HEAD)
    with contextlib.suppress(ConnectionError):
        for _ in range(1000):
            endless.sendall(b"x-more: " + b"a" * 1000 + b"\r\n")
    assert answered(endless)[:12] in (b"HTTP/1.1 431", b"")
    assert server.post("house:predict", {"instances": [1]})[0] == 200


def test_slow_but_steady_clients_are_answered(server, connect):
    body = b'{"instances": [2.0]}'
    steady = connect(HEAD + b"Content-Length: 20\r\n\r\n")
    for place in range(0, len(body), 4):  # longer in all than it may be silent
        time.sleep(0.25 * SILENCE)
        steady.sendall(body[place : place + 4])
    steady.settimeout(10)
    assert answer(steady).endswith(b'{"predictions":[4.0]}')
    steady.sendall(HEAD + b"Content-Length: 20\r\n\r\n" + body)  # the connection is kept
    assert answer(steady).endswith(b'{"predictions":[4.0]}')
