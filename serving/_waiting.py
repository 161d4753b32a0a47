"""Progress while the server starts: loading TensorFlow and the models takes seconds."""

from __future__ import annotations

import os
import threading
import time

_EVERY_S = 4.0


class Starting:
    """Writes a line to stderr every four seconds until `end`, even while file descriptor 2 is redirected."""

    def __init__(self) -> None:
        self._stderr, self._ended = os.dup(2), threading.Event()
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="starting", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stops the progress lines; may be called twice."""
        if not self._ended.is_set():
            self._ended.set()
            self._thread.join()
            os.close(self._stderr)

    def _run(self) -> None:
        while not self._ended.wait(_EVERY_S):
            os.write(self._stderr, f"serving: still loading, {time.monotonic() - self._began:.0f} s\n".encode())
