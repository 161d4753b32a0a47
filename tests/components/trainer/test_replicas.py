from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import pathlib
import shutil
import socket
import subprocess

import numpy as np
import pytest

from tests.components.trainer.fitting import Job, history, weights


def _cluster(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    finally:
        for one in sockets:
            one.close()


@pytest.fixture
def run_workers(begin):
    """Runs one process a job, as the workers of one cluster."""

    def run(jobs: list[Job]) -> list[subprocess.CompletedProcess[str]]:
        names, tasks = _cluster(len(jobs)), [{"type": "worker", "index": i} for i in range(len(jobs))]
        configs = [json.dumps({"cluster": {"worker": names}, "task": task}) for task in tasks]
        processes = [begin(job, TF_CONFIG=config) for job, config in zip(jobs, configs, strict=True)]
        with concurrent.futures.ThreadPoolExecutor(len(processes)) as pool:
            try:
                errors = list(pool.map(lambda one: one.communicate(timeout=90)[1], processes))
            finally:
                for process in processes:
                    process.kill()
        return [
            subprocess.CompletedProcess(one.args, one.returncode, stderr=text[-4000:])
            for one, text in zip(processes, errors, strict=True)
        ]

    return run


@pytest.fixture
def workers(job) -> list[Job]:
    """Two workers, each with a disk of its own."""
    job = dataclasses.replace(job, config={**job.config, "distribution": "multi_worker"}, rows=True)
    return [
        dataclasses.replace(job, result=f"{job.result}-{i}", checkpoints=f"{job.result}-checkpoints-{i}")
        for i in range(2)
    ]


@pytest.mark.slow
def test_two_workers_learn_what_one_process_learns(job, start, workers, run_workers) -> None:
    """64 rows are two even halves; of the last batch each worker gets three rows."""
    assert 1030 % job.config["batch_size"] == 6
    assert start(job).returncode == 0
    done = run_workers(workers)
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    whole, first, second = (history(one.result) for one in (job, *workers))
    assert (first["chief"], second["chief"]) == (True, False)
    assert (first["distribution"], first["replicas"], first["devices"]) == ("multi_worker", 2, ["CPU:0"])
    assert first["history"] == second["history"]
    # The chief writes; the other worker leaves neither checkpoint nor logs.
    assert [pathlib.Path(one.checkpoints).exists() for one in workers] == [True, False]
    assert [pathlib.Path(one.result + ".logs").exists() for one in workers] == [True, False]
    seen = [json.loads(pathlib.Path(one.result + ".rows").read_text()) for one in workers]
    assert sorted(row for parts in seen for part in parts for row in part) == list(range(1030))
    for name, values in whole["history"].items():
        np.testing.assert_allclose(first["history"][name], values, rtol=1e-3, err_msg=name)
    for a, b, c in zip(*(weights(one.result) for one in (job, *workers)), strict=True):
        np.testing.assert_array_equal(b, c)
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.slow
def test_workers_go_on_from_the_chiefs_checkpoint_or_say_that_they_cannot(workers, run_workers) -> None:
    assert [one.returncode for one in run_workers(workers)] == [0, 0]
    whole = history(workers[0].result)
    # The second worker's machine does not reach the chief's checkpoint: said, not waited for.
    done = run_workers(workers)
    assert all(one.returncode for one in done)
    assert any("the workers found different checkpoints" in one.stderr for one in done), [one.stderr for one in done]
    shutil.copytree(workers[0].checkpoints, workers[1].checkpoints)
    assert [one.returncode for one in run_workers(workers)] == [0, 0]
    assert history(workers[0].result)["history"] == whole["history"]
