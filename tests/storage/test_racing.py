"""Several writers of one object store, killed and stopped at any moment: nothing that was acknowledged is lost."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import uuid

import pytest

import storage

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEASE_SECONDS = 1.0
WRITERS = 4


class Racers:
    """Processes of racer.py on one file; a killed one is followed by another."""

    def __init__(self, uri: str, folder: pathlib.Path) -> None:
        self._uri, self._folder = uri, folder
        self._running = [self._start() for _ in range(WRITERS)]

    def _start(self) -> subprocess.Popen[bytes]:
        log = self._folder / f"{uuid.uuid4().hex}.log"
        arguments = [sys.executable, "-m", "tests.storage.racer", self._uri, str(log), str(LEASE_SECONDS)]
        return subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})

    def kill_one(self, chance: random.Random) -> None:
        at = chance.randrange(WRITERS)
        self._running[at].send_signal(signal.SIGKILL)
        assert self._running[at].wait() == -signal.SIGKILL, "a writer ended by itself"
        self._running[at] = self._start()

    def stop_one(self, chance: random.Random) -> None:
        """As a machine that sleeps or swaps: it goes on when its lease is another's."""
        one = chance.choice(self._running)
        one.send_signal(signal.SIGSTOP)
        time.sleep(LEASE_SECONDS * chance.uniform(0.5, 2.5))
        one.send_signal(signal.SIGCONT)

    def acknowledged(self) -> list[str]:
        return [line for log in self._folder.glob("*.log") for line in log.read_text().splitlines()]

    def end(self) -> None:
        for one in self._running:
            with contextlib.suppress(ProcessLookupError):
                one.kill()
            one.wait()


def race(uri: str, folder: pathlib.Path, seconds: float, seed: int) -> collections.Counter[str]:
    """Races with kills and stops; returns how often what was logged, by kind."""
    chance, racers = random.Random(seed), Racers(uri, folder)
    try:
        deadline = time.monotonic() + 60
        while len(racers.acknowledged()) < WRITERS:
            assert time.monotonic() < deadline, "no writer writes"
            time.sleep(0.1)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(chance.uniform(0, 1))
            chance.choice([racers.kill_one, racers.stop_one])(chance)
    finally:
        racers.end()
    words = storage.open_files(uri).read("words").decode().split()
    said = racers.acknowledged()
    kept = [line for line in said if not line.startswith("#")]
    assert len(set(words)) == len(words)
    assert not set(kept) - set(words), "what the store took was overwritten"
    return collections.Counter(line if line.startswith("#") else "kept" for line in said)


def test_writers_under_kills_lose_nothing(conditional_s3: str, tmp_path: pathlib.Path) -> None:
    assert race(f"{conditional_s3}/short", tmp_path, seconds=5, seed=1)["kept"] > 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_writers_under_many_kills_lose_nothing(conditional_s3: str, tmp_path: pathlib.Path, seed: int) -> None:
    assert race(f"{conditional_s3}/long-{seed}", tmp_path, seconds=60, seed=seed)["kept"] > 50
