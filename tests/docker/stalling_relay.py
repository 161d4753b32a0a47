"""A relay in front of an object store that stops in the middle of an upload, so that a test can kill who is uploading."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import urllib.parse


class StallingRelay:
    """Passes bytes on, until objects of a certain name are put: the first gets through, the others wait for ever.

    Args:
        endpoint: URL of the object store.
        stalled: regular expression on the path of what is put.

    Attributes:
        url: the endpoint to give to who is to be stopped.
        stopped: set when somebody waits.
    """

    def __init__(self, endpoint: str, stalled: str) -> None:
        parts = urllib.parse.urlsplit(endpoint)
        self._target = (str(parts.hostname), int(parts.port or 80))
        self._stalled = re.compile(rb"PUT \S*" + stalled.encode())
        self._lock, self._passed, self.stopped = threading.Lock(), False, threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                store = socket.create_connection(self._target)
                threading.Thread(target=self._relay, args=(client, store, True), daemon=True).start()
                threading.Thread(target=self._relay, args=(store, client, False), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, checked: bool) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(2**16):
                if checked and self._stalled.match(block) and not self._may_pass():
                    self.stopped.set()
                    threading.Event().wait()
                sink.sendall(block)
            sink.shutdown(socket.SHUT_WR)

    def _may_pass(self) -> bool:
        with self._lock:
            first, self._passed = not self._passed, True
        return first
