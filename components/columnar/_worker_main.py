"""A Beam worker that ends when its parent process ends: `python -m components.columnar._worker_main PID`.

Beam's own worker stays behind, with its memory, when the parent is killed.
"""

from __future__ import annotations

import os
import sys
import threading
import time


def end_with(parent: int) -> None:
    """Ends this process soon after its parent has ended."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="watch the parent", daemon=True).start()


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)
