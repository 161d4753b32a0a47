"""A consumer: a process that loads the release once and answers items until it is told to stop.

It says what it does in JSON lines, to the supervisor: `ready`, `note`, `done`, `failed`, and `error` as its last word.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import pathlib
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import storage
from components import prepared
from model_store import ModelStore, StoreError
from pipelines.queue import items
from pipelines.queue.answering import Answered, Following
from pipelines.queue.items import Item
from pipelines.queue.opening import open_queue
from pipelines.queue.queues import LEASE_S, Delivery, Queue
from pipelines.queue.rows import has_bytes
from pipelines.queue.settings import Settings
from spec import exit_codes, home
from spec.errors import InputError, TryAgainError, machine_trouble
from spec.repeating import repeating
from spec.words import one_line

_MOST_ITEMS = 64
_QUICK_S, _SLOW_S = 0.5, 2.0
"""More items are taken at once after a quick batch, fewer after a slow one: many small ones share a call, large ones are left to
other consumers."""

Say = Callable[[Mapping[str, Any]], None]


class Consumer:
    """Takes items, answers them, and takes them off the queue.

    Args:
        release: the one that answers, asked for before each batch.
        results: where they are created, `<id>.parquet`.
        told_to_stop: asked between batches.
        say: the reports.
    """

    def __init__(
        self,
        queue: Queue,
        release: Following,
        results: storage.Files,
        settings: Settings,
        told_to_stop: Callable[[], bool],
        say: Say,
    ) -> None:
        self._queue, self._release, self._results = queue, release, results
        self._settings, self._told_to_stop, self._say = settings, told_to_stop, say
        self._most = 1
        self._at_hand: dict[str, Delivery] = {}

    def run(self) -> None:
        """Works until it is told to stop, or, where it is to drain, until nothing is left.

        Raises:
            TryAgainError, OSError: the queue or a store does not answer.
            InputError: one of them refuses.
        """
        while not self._told_to_stop():
            if taken := self._queue.take(self._most):
                self._batch(taken)
            elif self._settings.drain and self._queue.is_empty():
                break
        self._queue.close()

    def _batch(self, taken: Sequence[Delivery]) -> None:
        started = time.monotonic()
        self._at_hand = {one.key: one for one in taken}
        try:
            with repeating(lambda: self._keep(taken), LEASE_S / 3):
                self._work(taken)
        finally:  # the queue or a store is away, which is no item's fault
            for one in self._at_hand.values():
                with contextlib.suppress(TryAgainError, InputError, OSError):
                    self._queue.give_back(one, tried=False)
        seconds = time.monotonic() - started
        if seconds < _QUICK_S:
            self._most = min(_MOST_ITEMS, self._most * 2)
        elif seconds > _SLOW_S:
            self._most = max(1, self._most // 2)

    def _work(self, taken: Sequence[Delivery]) -> None:
        together: list[tuple[Delivery, Item]] = []
        alone: list[tuple[Delivery, Item]] = []
        for delivery in taken:
            if (item := self._wanted(delivery)) is not None:
                plain = item.rows is not None and not has_bytes(item.rows)
                (together if plain else alone).append((delivery, item))
        for some in (together, *([one] for one in alone)):
            if some:
                self._answer(some)

    def _wanted(self, delivery: Delivery) -> Item | None:
        """The item of a delivery, if it is still to be answered."""
        try:
            item = items.read(delivery, self._settings.allowed)
        except InputError as error:
            self._set_aside(delivery, str(error))
            return None
        if self._results.exists(_name(item)):
            self._done([delivery], {"found": 1})
        elif delivery.attempt > self._settings.attempts:
            self._set_aside(delivery, f"the consumer died each of {delivery.attempt - 1} times that it was tried")
        else:
            return item
        return None

    def _answer(self, some: Sequence[tuple[Delivery, Item]]) -> None:
        """Answers items in one call; where that fails for a reason of its own, each alone, and the one at fault comes back later."""
        try:
            found = self._release.now().answer([item for _, item in some], pathlib.Path(self._settings.scratch))
        except (TryAgainError, OSError):
            raise
        except Exception as error:
            if len(some) > 1:
                for one in some:
                    self._answer([one])
                return
            traceback.print_exc()
            ((delivery, _),) = some
            if delivery.attempt < self._settings.attempts:
                self._queue.give_back(self._at_hand.pop(delivery.key), tried=True)
            else:
                reason = f"{type(error).__name__}: {one_line(error, 300)}"
                self._set_aside(
                    delivery, f"failed each of {delivery.attempt} times that it was tried; the last: {reason}"
                )
            return
        done: list[Delivery] = []
        counts: collections.Counter[str] = collections.Counter()
        for (delivery, item), answered in zip(some, found, strict=True):
            if isinstance(answered, InputError):
                self._set_aside(delivery, str(answered))
                continue
            created = self._create(item, answered)
            counts.update(
                {"rows": answered.table.num_rows, "failed_rows": answered.failed} if created else {"found": 1}
            )
            done.append(delivery)
        if done:
            self._done(done, counts)

    def _create(self, item: Item, answered: Answered) -> bool:
        """Creates a result; False where another has done so meanwhile."""
        buffer = pa.BufferOutputStream()
        pq.write_table(answered.table, buffer)
        try:
            self._results.swap(_name(item), buffer.getvalue().to_pybytes(), None)
        except storage.Conflict:
            if not self._results.exists(_name(item)):
                raise  # a file is where a folder should be
            return False
        return True

    def _done(self, deliveries: Sequence[Delivery], counts: Mapping[str, int]) -> None:
        self._queue.done(deliveries)
        for one in deliveries:
            del self._at_hand[one.key]
        self._say({"done": len(deliveries), **counts})

    def _set_aside(self, delivery: Delivery, reason: str) -> None:
        self._queue.set_aside(delivery, reason)
        del self._at_hand[delivery.key]
        self._say({"failed": delivery.key, "reason": reason})

    def _keep(self, taken: Sequence[Delivery]) -> None:
        """Gives the queue a sign of life."""
        with contextlib.suppress(TryAgainError, InputError):  # the next question to the queue will say
            self._queue.keep(taken)


def _name(item: Item) -> str:
    return f"{item.id}.parquet"


def main(arguments: Sequence[str]) -> int:
    """The process: settings in JSON, and the number of the file that the reports go to."""
    settings = Settings.from_json(arguments[0])
    if not prepared.die_with(settings.parent):
        return exit_codes.MAY_RETRY
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to us, too; the supervisor decides
    reports = os.fdopen(int(arguments[1]), "w", encoding="utf-8")

    def say(report: Mapping[str, Any]) -> None:
        reports.write(json.dumps(report) + "\n")
        reports.flush()

    try:
        return _consume(settings, say)
    except (InputError, StoreError) as error:
        say({"error": str(error), "code": exit_codes.FIX_INPUT})
        return exit_codes.FIX_INPUT
    except (TryAgainError, OSError) as error:
        traceback.print_exc()
        trouble = machine_trouble(error)
        code = exit_codes.FIX_INPUT if trouble else exit_codes.MAY_RETRY
        say({"error": trouble or one_line(error, 300), "code": code})
        return code


def _consume(settings: Settings, say: Say) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    store = ModelStore(home.store_uri())
    release = Following(
        store, settings.model, settings.release, pathlib.Path(settings.scratch), lambda text: say({"note": text})
    )
    queue = open_queue(settings.queue, settings.model, settings.name)
    consumer = Consumer(queue, release, storage.open_files(settings.out), settings, stop.is_set, say)
    say({"ready": release.now().version})
    consumer.run()
    return exit_codes.OK


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # TensorFlow's threads need not be wound up
