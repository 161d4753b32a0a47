from __future__ import annotations

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

    def run(jobs: list[Job]) -> list[subprocess.Popen]:
        workers, tasks = _cluster(len(jobs)), [{"type": "worker", "index": i} for i in range(len(jobs))]
        configs = [json.dumps({"cluster": {"worker": workers}, "task": task}) for task in tasks]
        processes = [begin(job, TF_CONFIG=config) for job, config in zip(jobs, configs, strict=True)]
        try:
            for process in processes:
                process.wait(300)
        finally:
            for process in processes:
                process.kill()
        return processes

    return run


def test_two_workers_learn_what_one_process_learns(job, start, run_workers) -> None:
    """64 rows are two even halves; of the last batch each worker gets three rows."""
    assert 1030 % job.config["batch_size"] == 6
    alone = start(job)
    assert alone.returncode == 0, alone.stderr[-2000:]
    shared = {**job.config, "distribution": "multi_worker"}
    jobs = [
        dataclasses.replace(
            job, result=f"{job.result}-{i}", config=shared, rows=True, checkpoints=f"{job.result}-checkpoints-{i}"
        )
        for i in range(2)
    ]
    done = run_workers(jobs)
    assert [one.returncode for one in done] == [0, 0], [one.stderr.read()[-2000:] for one in done]
    whole, first, second = (history(result) for result in (alone.args[-1], jobs[0].result, jobs[1].result))
    assert (first["chief"], second["chief"]) == (True, False)
    assert first["replicas"] == 2 and first["history"] == second["history"]
    # The chief writes; the other worker leaves neither checkpoint nor logs.
    assert [pathlib.Path(one.checkpoints).exists() for one in jobs] == [True, False]
    assert [pathlib.Path(one.result + ".logs").exists() for one in jobs] == [True, False]
    seen = [row for one in jobs for part in json.loads(pathlib.Path(one.result + ".rows").read_text()) for row in part]
    assert sorted(seen) == list(range(1030))
    for name, values in whole["history"].items():
        np.testing.assert_allclose(first["history"][name], values, rtol=1e-3, err_msg=name)
    for a, b, c in zip(*(weights(r) for r in (alone.args[-1], jobs[0].result, jobs[1].result)), strict=True):
        np.testing.assert_array_equal(b, c)
        np.testing.assert_allclose(a, b, atol=1e-4)

    # The second worker's machine does not reach the chief's checkpoint: said, not waited for.
    jobs = [dataclasses.replace(one, result=f"{one.result}-again") for one in jobs]
    done = run_workers(jobs)
    assert all(one.returncode for one in done)
    assert any("the workers found different checkpoints" in one.stderr.read() for one in done)
    shutil.copytree(jobs[0].checkpoints, jobs[1].checkpoints)
    done = run_workers(jobs)
    assert [one.returncode for one in done] == [0, 0]
    assert history(jobs[0].result)["history"] == first["history"]
