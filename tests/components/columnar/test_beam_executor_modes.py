"""Shards combined in this process, on Beam in this process, and by Beam's worker processes: one outcome, errors included."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import apache_beam as beam
import pytest
from tfx.dsl.components.base import base_beam_executor

from components.columnar._defaults import choose
from components.columnar._workers import WorkerLost
from components.columnar.executor import ColumnarBeamExecutor
from spec.errors import InputError
from tests.components.columnar.summing import Sum, processes

IN_MEMORY = ("--direct_running_mode=in_memory",)
TWO_PROCESSES = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
MODES = pytest.mark.parametrize("arguments", [(), IN_MEMORY, TWO_PROCESSES], ids=["here", "in_memory", "two_processes"])


class Executor(ColumnarBeamExecutor):
    def Do(self, input_dict, output_dict, exec_properties) -> None: ...


def executor(tmp_path: pathlib.Path, arguments: tuple[str, ...]) -> Executor:
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(arguments), tmp_dir=str(tmp_path / "tmp"), unique_id="1"
    )
    return Executor(context)


@MODES
def test_every_shard_counts_once_and_setup_has_its_teardown(tmp_path: pathlib.Path, arguments) -> None:
    assert executor(tmp_path, arguments)._combine(list(range(100)), Sum(tmp_path)) == (4950, 100)
    adding = processes(tmp_path, "add")
    assert adding <= processes(tmp_path, "setup") and adding <= processes(tmp_path, "teardown")
    if arguments == TWO_PROCESSES:
        assert len(adding) == 2 and os.getpid() not in adding
    else:
        assert adding == {os.getpid()}
    assert not list(tmp_path.rglob("*.pickle*"))


@pytest.mark.parametrize("arguments", [(), IN_MEMORY], ids=["here", "in_memory"])
def test_no_shards_are_an_empty_sum(tmp_path: pathlib.Path, arguments) -> None:
    assert executor(tmp_path, arguments)._combine([], Sum(tmp_path)) == (0, 0)


@pytest.mark.slow
@MODES
def test_the_first_refused_shard_is_told_word_for_word(tmp_path: pathlib.Path, arguments) -> None:
    with pytest.raises(InputError) as caught:
        executor(tmp_path, arguments)._combine(list(range(60)), Sum(tmp_path, bad=(57, 31, 44)))
    assert str(caught.value) == "shard 31: is not a number that anyone likes. Received: [31]."


def refuse(element: int) -> int:
    raise InputError(f"row {element}: [odd] value.")


@pytest.mark.parametrize(
    "arguments", [IN_MEMORY, pytest.param(TWO_PROCESSES, marks=pytest.mark.slow)], ids=["in_memory", "two_processes"]
)
def test_an_input_error_of_any_transform_keeps_its_type_and_words(tmp_path: pathlib.Path, arguments) -> None:
    with pytest.raises(InputError) as caught:
        with executor(tmp_path, arguments)._pipeline() as pipeline:
            _ = pipeline | beam.Create([7]) | beam.Map(refuse)
    assert str(caught.value) == "row 7: [odd] value."


def kill_when_busy(traces: pathlib.Path, seconds: float = 60.0) -> int:
    """Kills the first process of which there is a trace of work."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if busy := processes(traces, "add"):
            os.kill(min(busy), signal.SIGKILL)
            return min(busy)
        time.sleep(0.05)
    raise AssertionError("no worker came to work")


@pytest.mark.slow
def test_a_killed_worker_ends_the_pipeline_in_one_line_and_the_next_run_succeeds(tmp_path: pathlib.Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_when_busy, tmp_path)
        with pytest.raises(WorkerLost, match=r"SIGKILL.*Run again") as caught:
            executor(tmp_path, TWO_PROCESSES)._combine(list(range(200)), Sum(tmp_path, seconds=10.0))
    assert "\n" not in str(caught.value)
    # The other worker had a quarter of an hour of work before it; the test's own limit says that nobody waited for that.
    for worker in processes(tmp_path, "setup") | {killed.result()}:
        assert not pathlib.Path(f"/proc/{worker}").exists()
    assert not list(tmp_path.rglob("*.pickle*"))
    assert executor(tmp_path, TWO_PROCESSES)._combine(list(range(40)), Sum(tmp_path)) == (780, 40)


def test_a_worker_ends_with_the_process_that_started_it() -> None:
    code = (
        "import os, time\nfrom components.columnar._worker_main import end_with\n"
        "end_with(os.getppid())\nprint(os.getpid(), flush=True)\ntime.sleep(300)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CODE": code, "PYTHON": sys.executable}
    shell = subprocess.Popen(["sh", "-c", '"$PYTHON" -c "$CODE"; true'], env=environment, stdout=subprocess.PIPE)
    assert shell.stdout is not None
    assert int(shell.stdout.readline())
    shell.kill()
    shell.wait()
    assert shell.stdout.read() == b""  # comes back when the last process that could write into the pipe has ended


GIB = 1 << 30


@pytest.mark.parametrize(
    ("size", "cores", "memory", "workers"),
    [
        (0, 64, 512, 0),
        (3.99, 64, 512, 0),  # one worker's share is no reason for a second process
        (4, 64, 512, 2),
        (9, 64, 512, 4),
        (1000, 8, 512, 8),
        (1000, 1, 512, 0),
        (1000, 64, 8, 3),  # memory: this process has a share too
        (1000, 64, 4, 0),
    ],
)
def test_other_processes_only_where_each_has_enough_to_do(size, cores, memory, workers) -> None:
    expected = ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"] if workers else []
    assert choose(int(size * GIB), cores, memory * GIB) == expected


@pytest.fixture(scope="module")
def job_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Beam's own job server in a process of its own: the protocol by which Flink and Spark are spoken to."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "--port", str(port)]
    server = subprocess.Popen([*command, "--staging_dir", str(tmp_path_factory.mktemp("staging"))])
    try:
        yield f"localhost:{port}"
    finally:
        server.terminate()
        server.wait(30)


@pytest.mark.slow
def test_a_job_server_gives_the_same_outcome_through_the_temporary_location(
    tmp_path: pathlib.Path, job_server: str
) -> None:
    place = tmp_path / "shared" / "by all"
    arguments = (
        "--runner=PortableRunner",
        f"--job_endpoint={job_server}",
        "--environment_type=LOOPBACK",
        "--sdk_container_image=none",  # or TFX builds a package of itself for the workers
        f"--temp_location={place}",
    )
    assert executor(tmp_path, arguments)._combine(list(range(100)), Sum(tmp_path)) == (4950, 100)
    with pytest.raises(InputError, match=r"^shard 31: is not a number that anyone likes. Received: \[31\].$"):
        executor(tmp_path, arguments)._combine(list(range(60)), Sum(tmp_path, bad=(57, 31)))
    assert place.is_dir() and not list(place.iterdir())
