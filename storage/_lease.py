"""A lock in an object store: one object that says who holds it and until when, changed by conditional writes alone."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator

import tenacity

from storage._conditional import Conditional, write_once
from storage._errors import Busy, Conflict, LeaseLost, NoConditionalWrites
from storage._files import LOCK_SECONDS, StillHeld

LEASE_SECONDS = 30.0
"""How long a holder that died is waited for."""
_RENEWALS = 3  # in a lease's time, so that two of them may fail
_MARGIN = 0.1  # of a lease's time: the holder stops relying on it earlier than others take it, should clocks differ
_PROVEN: set[str] = set()
"""Leases whose store was seen to refuse a write whose condition does not hold."""


@contextlib.contextmanager
def lease(store: Conditional, path: str, shown: str) -> Iterator[StillHeld]:
    """Holds a lease while the body runs. A thread renews it; that of a process that died ends after LEASE_SECONDS.

    Being held a moment ago is no proof of being held now: what is written under a lease is written on a condition, too.

    Args:
        path: of the object.
        shown: it, for messages.

    Yields:
        What raises LeaseLost once the lease was not renewed in time.

    Raises:
        Busy: another holder did not let go within LOCK_SECONDS.
        NoConditionalWrites: the store writes whatever the condition.
    """
    held = _Lease(store, path, shown)
    held.acquire()
    renewing = threading.Thread(target=held.keep, name=f"lease of {shown}", daemon=True)
    renewing.start()
    try:
        yield held.insist
    finally:
        held.ended.set()
        renewing.join()
        held.release()


class _Lease:
    def __init__(self, store: Conditional, path: str, shown: str) -> None:
        self._store, self._path, self._shown = store, path, shown
        self._holder = uuid.uuid4().hex
        self._version = ""
        self._relied_on_until = 0.0
        self.ended = threading.Event()

    def acquire(self) -> None:
        try:
            tenacity.Retrying(
                retry=tenacity.retry_if_exception_type(Conflict),
                stop=tenacity.stop_after_delay(LOCK_SECONDS),
                wait=tenacity.wait_random(0.05, 0.15),
                reraise=True,
            )(self._take)
        except Conflict:
            raise Busy(
                f"another process has held {self._shown} for {LOCK_SECONDS:.0f} s. Try again when it is done."
            ) from None
        if self._shown not in _PROVEN:
            self._prove()

    def insist(self) -> None:
        if time.monotonic() > self._relied_on_until:
            raise LeaseLost(
                f"{self._shown}: was not renewed in time, and another process may hold it by now; nothing was changed. "
                "Check the connection to the store, and try again."
            )

    def keep(self) -> None:
        """Renews the lease until it is lost, or no longer needed."""
        while not self.ended.wait(LEASE_SECONDS / _RENEWALS):
            with contextlib.suppress(OSError):  # a renewal that does not get through is tried again
                try:
                    self._write(LEASE_SECONDS, self._version)
                except (Conflict, FileNotFoundError):
                    self._relied_on_until = 0.0
                    return

    def release(self) -> None:
        """Lets go at once, where it is still ours. A record that has ended stands for none: removing it could hit another's."""
        with contextlib.suppress(Exception):
            self._write(0.0, self._version)

    def _take(self) -> None:
        try:
            record, version = self._store.read(self._path)
        except FileNotFoundError:
            self._write(LEASE_SECONDS, None)
            return
        if _ends(record) > time.time():
            raise Conflict(f"{self._shown} is held")
        self._write(LEASE_SECONDS, version)

    def _write(self, seconds: float, version: str | None) -> None:
        asked, until = time.monotonic(), time.time() + seconds if seconds else 0.0
        self._version = write_once(self._store, self._path, self._record(until), version)
        self._relied_on_until = asked + seconds * (1 - _MARGIN)

    def _record(self, until: float) -> bytes:
        return json.dumps({"holder": self._holder, "until": until}).encode()

    def _prove(self) -> None:
        """Asks for two writes that must be refused: a server that does not know the conditions ignores them."""
        stale = self._version
        self._write(LEASE_SECONDS, stale)
        for condition in (None, stale):
            with contextlib.suppress(Conflict):
                self._store.write(self._path, self._record(0.0), condition)
                raise NoConditionalWrites(
                    f"{self._shown}: the store writes whatever the condition, and two writers could overwrite one another. Use a "
                    "server that knows If-Match and If-None-Match, or a folder."
                )
        _PROVEN.add(self._shown)


def _ends(record: bytes) -> float:
    """When a lease ends, in seconds since 1970; a damaged record has ended."""
    try:
        return float(json.loads(record)["until"])
    except (ValueError, KeyError, TypeError):
        return 0.0
