"""A writer that races with others: `python -m tests.storage.racer URI LOG LEASE_SECONDS`.

Under a lock it adds a word of its own to a file, for ever, and says so in its log once the store has taken it. A word that is in
the log and not in the file was overwritten by somebody who held the lock at the same time.
"""

from __future__ import annotations

import os
import random
import sys
import time
import uuid

import storage
from storage import _lease


def add_words(uri: str, log: str, lease_seconds: float) -> None:
    _lease.LEASE_SECONDS = lease_seconds
    files = storage.open_files(uri)
    with open(log, "a", buffering=1) as acknowledged:  # noqa: PTH123
        while True:
            word = uuid.uuid4().hex
            try:
                with files.lock("words.lock") as still_held:
                    words, version = files.read_version("words")
                    time.sleep(random.uniform(0, 0.02))
                    still_held()
                    files.swap("words", words + f"{word} ".encode(), version)
            except (storage.Conflict, storage.LeaseLost, storage.Busy) as error:
                acknowledged.write(f"# {type(error).__name__}\n")
                continue
            acknowledged.write(f"{word}\n")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    add_words(sys.argv[1], sys.argv[2], float(sys.argv[3]))
