from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedded import processes
from embedded.processes import Component, Identity, end_all, identity_of, marked, pid_file_identities
from spec import environment as env
from tests.embedded.conftest import wait_for

# A child that leaves its parent's session and group, and ignores SIGTERM: what a careless grandchild does.
STUBBORN = (
    "import os, signal, subprocess, sys, time\n"
    "child = 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)'\n"
    "subprocess.Popen([sys.executable, '-c', child], start_new_session=True)\n"
    "time.sleep(600)\n"
)


def component(folder: Path, *argv: str) -> Component:
    environment = {**os.environ, env.PLATFORM: str(folder)}
    return Component("one", argv, environment, folder / "one.log", folder / "run" / "one.pid")


def test_grandchildren_end_too(tmp_path: Path) -> None:
    one = component(tmp_path, sys.executable, "-c", STUBBORN)
    one.start()
    wait_for(lambda: len(marked(tmp_path)) == 2, 20, "parent and child run")
    assert end_all([one], tmp_path, grace_seconds=2) == 1, "the stubborn one had to be killed"
    assert marked(tmp_path) == []
    assert not one.pid_file.exists()


def test_other_platforms_processes_are_spared(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "mine-too"
    theirs = component(other, "sleep", "600")
    theirs.start()
    end_all([], mine)
    assert theirs.is_alive
    end_all([theirs], other)


def test_dead_component_starts_again_after_its_backoff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "BACKOFF_SECONDS", (0.1, 0.4))
    one = component(tmp_path, "false")
    one.start()
    wait_for(lambda: not one.is_alive, 5, "it died")
    assert "exited with 1" in str(one.revive())
    assert one.revive() is None, "its backoff is not over"
    time.sleep(0.15)
    assert "started again" in str(one.revive())
    wait_for(lambda: not one.is_alive, 5, "it died again")
    assert "in 0.4 s" in str(one.revive()), "the second time it waits longer"
    assert one.restarts == 1


def test_revival_ends_what_the_dead_process_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "BACKOFF_SECONDS", (0.0,))
    one = component(tmp_path, "sh", "-c", "sleep 600 & sleep 601")
    one.start()
    wait_for(lambda: len(marked(tmp_path)) == 3, 5, "a shell and two children run")
    before = {identity.pid for identity in marked(tmp_path)}
    assert one.process is not None
    one.process.kill()
    wait_for(lambda: not one.is_alive, 5, "it died")
    one.revive()
    one.revive()
    assert not before & {identity.pid for identity in marked(tmp_path)}
    end_all([one], tmp_path)


def test_pid_of_another_process_is_never_taken_for_ours(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        known = identity_of(stranger.pid)
        assert known is not None and known.is_alive
        assert not Identity(stranger.pid, known.start_time - 1).is_alive
        (tmp_path / "scheduler.pid").write_text(f"{stranger.pid} {known.start_time - 1}\n")
        (tmp_path / "triggerer.pid").write_text("not a pid file")
        assert pid_file_identities(tmp_path) == []
    finally:
        stranger.send_signal(signal.SIGKILL)
        stranger.wait()
