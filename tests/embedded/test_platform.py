"""`up`, `status` and `down` as a user meets them, with the real Airflow."""

from __future__ import annotations

import os
import signal
import socket
import stat

import pytest

from embedded.processes import marked
from embedded.supervisor import read_state
from tests.embedded.conftest import Home, wait_for


def test_a_taken_port_is_one_line_and_exit_code_2(fresh_home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = fresh_home.run("up", "--airflow-port", port)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert f"port {port}" in result.stderr and "--airflow-port" in result.stderr


def test_a_port_that_is_none_is_refused(fresh_home: Home) -> None:
    result = fresh_home.run("up", "--rest-port", "70000")
    assert result.returncode == 2
    assert "Received: '70000'" in result.stderr


def test_status_and_down_without_a_platform(fresh_home: Home) -> None:
    status, down = fresh_home.run("status"), fresh_home.run("down")
    assert (status.returncode, status.stdout) == (1, "Not running.\n")
    assert (down.returncode, down.stdout) == (0, "Nothing is running.\n")


@pytest.mark.parametrize("command", ["up", "demo", "status", "down"])
def test_help_teaches(fresh_home: Home, command: str) -> None:
    result = fresh_home.run(command, "--help")
    assert result.returncode == 0
    assert f"./trainyard {command}" in result.stdout


@pytest.mark.slow
def test_life_of_a_platform(fresh_home: Home) -> None:
    supervisor = fresh_home.start("up", "--workload", "taxi")
    fresh_home.wait_until_up(supervisor)
    state = read_state(fresh_home.paths)
    assert state is not None

    second = fresh_home.run("up")
    assert second.returncode == 0
    assert "running already" in second.stdout and state["urls"]["airflow"] in second.stdout
    assert fresh_home.run("status").returncode == 0

    passwords = fresh_home.paths.passwords
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
    assert fresh_home.log.read_text().count("password ") == 1, "printed once"

    for name, process in state["processes"].items():
        assert os.getpgid(process["pid"]) == process["pid"], f"{name} leads its own group"
    for process in state["processes"].values():
        os.kill(process["pid"], signal.SIGKILL)
    for name in state["processes"]:
        wait_for(
            lambda name=name: f"{name} started again" in fresh_home.log.read_text(), 30, f"{name} is started again"
        )
    wait_for(lambda: fresh_home.run("status").returncode == 0, 120, "all is healthy again")

    supervisor.send_signal(signal.SIGINT)
    assert supervisor.wait(timeout=60) == 0
    assert marked(fresh_home.folder) == []
    assert read_state(fresh_home.paths) is None


@pytest.mark.slow
def test_orphans_of_a_killed_supervisor_are_ended(fresh_home: Home) -> None:
    killed = fresh_home.start("up", "--workload", "taxi")
    fresh_home.wait_until_up(killed)
    first = read_state(fresh_home.paths)
    killed.kill()
    killed.wait()
    assert len(marked(fresh_home.folder)) >= 5
    status = fresh_home.run("status")
    assert status.returncode == 1 and "./trainyard down" in status.stdout

    again = fresh_home.start("up", "--workload", "taxi")
    fresh_home.wait_until_up(again)
    second = read_state(fresh_home.paths)
    assert first is not None and second is not None
    pids = {process["pid"] for process in first["processes"].values()}
    assert not pids & {one.pid for one in marked(fresh_home.folder)}

    again.kill()
    again.wait()
    down = fresh_home.run("down")
    assert down.returncode == 0 and "left behind" in down.stdout
    assert marked(fresh_home.folder) == []


@pytest.mark.slow
def test_interrupted_start_leaves_nothing(fresh_home: Home) -> None:
    supervisor = fresh_home.start("up")
    wait_for(lambda: len(marked(fresh_home.folder)) >= 2, 30, "something has been started")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(timeout=60) == 0
    assert marked(fresh_home.folder) == []
