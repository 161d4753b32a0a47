"""The processes of a search on one machine: started, watched, and started again where one is killed."""

from __future__ import annotations

import logging
import os
import socket
from types import TracebackType

from components import border
from components.prepared import Worker, WorkerDied
from components.tuner._job import Job
from components.tuner._study import WORKER, Study

_log = logging.getLogger(__name__)

_MODULE = "components.tuner.worker"


class Crew:
    """As many processes as `training.search.parallel` says. They import from the beginning, and work after `start`."""

    def __init__(self, parallel: int) -> None:
        self._workers = {slot: Worker(_MODULE) for slot in range(parallel)}
        self._job: Job | None = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers.values():
            worker.close()

    def start(self, job: Job) -> None:
        self._job = job
        for slot, worker in self._workers.items():
            self._send(slot, worker)

    def watch(self, study: Study) -> bool:
        """Replaces processes that were killed over a trial; whether any is at work.

        Raises:
            InputError: the data cannot be learnt from.
            WorkerDied: a process ended by an error that is no trial's, or the last one before it had a trial.
        """
        for slot, worker in list(self._workers.items()):
            if worker.alive:
                continue
            del self._workers[slot]
            if self._was_killed_over_a_trial(worker, study) and not study.is_over:
                self._workers[slot] = Worker(_MODULE)
                self._send(slot, self._workers[slot])
        return bool(self._workers)

    def _was_killed_over_a_trial(self, worker: Worker, study: Study) -> bool:
        dead = name_of(worker.process.pid)
        try:
            worker.answer()
            return False
        except WorkerDied as error:
            # One that took a trial, and died before it could say so, has no name there.
            lost = study.bury(lambda trial: trial.user_attrs.get(WORKER, dead) == dead)
            if worker.process.returncode >= 0 or not (lost or self._workers):
                raise
            _log.warning("%s; %s", error, f"it had trial {lost[0]}" if lost else "it had no trial")
            return bool(lost)
        finally:
            worker.close()

    def _send(self, slot: int, worker: Worker) -> None:
        assert self._job is not None
        threads = max(1, len(os.sched_getaffinity(0)) // self._job.search.parallel)
        worker.send({"job": border.dump(self._job), "slot": slot, "threads": threads})


def name_of(process: int) -> str:
    """A process among those of all machines."""
    return f"{socket.gethostname()}/{process}"
