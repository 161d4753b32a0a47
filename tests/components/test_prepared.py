from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from components import prepared
from spec.errors import InputError

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORKER = """
import os, pathlib, time
from spec.errors import InputError
def warm():
    pathlib.Path(os.environ["WARMED"]).touch()
def work(request):
    return eval(request["code"])
def refuse():
    raise InputError("trips.csv: no such column. Mend it.")
"""


@pytest.fixture
def warmed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A worker module `toy` on the children's path; the file that it makes once it has imported."""
    (tmp_path / "toy.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("WARMED", str(tmp_path / "warmed"))
    yield tmp_path / "warmed"
    prepared.dismiss()


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def gone(pid: int) -> bool:
    """Whether a process has ended; one that another process has yet to reap has."""
    try:
        return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def ask(code: str) -> object:
    with prepared.take("toy") as worker:
        return worker.ask({"code": code})


def test_a_prepared_worker_is_the_one_that_answers(warmed: pathlib.Path) -> None:
    prepared.prepare("toy")
    assert wait_for(warmed.exists)
    prepared.prepare("toy")  # one is enough
    with prepared.take("toy") as worker:
        pid = worker.ask({"code": "os.getpid()"})
        assert pid == worker.process.pid != os.getpid()
    assert not pathlib.Path(f"/proc/{pid}").exists()  # reaped, too
    assert ask("os.getpid()") != pid  # a second request gets a process of its own


def test_one_that_died_while_waiting_is_replaced(warmed: pathlib.Path) -> None:
    prepared.prepare("toy")
    waiting = prepared.take("toy")
    prepared._waiting["toy"] = waiting
    os.kill(waiting.process.pid, signal.SIGKILL)
    assert wait_for(lambda: not waiting.alive)
    assert ask("[1, 'two', None]") == [1, "two", None]


def test_what_goes_wrong_in_a_worker_comes_back(warmed: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"^trips.csv: no such column. Mend it.$"):
        ask("refuse()")
    with pytest.raises(FileNotFoundError) as missing:
        ask("open('/no/such/file')")
    assert missing.value.filename == "/no/such/file"
    with pytest.raises(prepared.WorkerDied, match=r"toy ended with exit status 1: ZeroDivisionError"):
        ask("1 / 0")
    with pytest.raises(prepared.WorkerDied, match=r"died of SIGSEGV"):
        ask("os.kill(os.getpid(), 11)")


def test_closing_ends_its_children_as_well(warmed: pathlib.Path) -> None:
    with prepared.take("toy") as worker:
        worker.send({"code": "(os.system('sleep 60 & echo $!'), time.sleep(60))"})
        assert wait_for(lambda: worker.last_line().isdecimal())
        grandchild = int(worker.last_line())
    assert worker.process.returncode == -signal.SIGKILL
    assert wait_for(lambda: gone(grandchild))


def test_dismissed_workers_are_reaped(warmed: pathlib.Path) -> None:
    prepared.prepare("toy")
    pid = prepared._waiting["toy"].process.pid
    prepared.dismiss()
    assert not pathlib.Path(f"/proc/{pid}").exists() and not prepared._waiting


@pytest.mark.parametrize("ending", ["SIGKILL", "SIGINT", "exit"])
@pytest.mark.parametrize("working", [True, False], ids=["working", "waiting"])
def test_a_worker_does_not_outlive_its_parent(warmed: pathlib.Path, ending: str, working: bool) -> None:
    request = "worker.send({'code': 'time.sleep(60)'})" if working else ""
    code = (
        "import sys, time\nfrom components import prepared\nworker = prepared.Worker('toy')\n"
        f"{request}\n"
        "print(worker.process.pid, flush=True)\nsys.stdin.readline()\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ['PYTHONPATH']}"}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        assert parent.stdin and parent.stdout
        child = int(parent.stdout.readline())
        assert wait_for(warmed.exists) and not gone(child)
        if ending != "exit":
            parent.send_signal(signal.Signals[ending])
    assert wait_for(lambda: gone(child))
