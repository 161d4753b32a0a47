"""A search's processes: started, watched, and started again where one is killed."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

from components import border, formats
from components.prepared import Worker, WorkerDied
from components.progress import tell
from components.tuner._job import Job
from components.tuner._study import Study

_log = logging.getLogger(__name__)

_MODULE = "components.tuner.worker"
_EVERY_S = 0.5


def search(job: Job, prepare: Callable[[], None]) -> Study:
    """Tries what is left of a job.

    Args:
        prepare: makes the job's Examples; the processes import meanwhile.

    Raises:
        InputError: the data cannot be learnt from.
        WorkerDied: a process ended by an error that is no trial's, or before it had a trial.
    """
    workers = {slot: Worker(_MODULE) for slot in range(job.search.parallel)}
    try:
        prepare()
        study = Study(job)
        if again := study.bury():
            _log.warning("trials %s were under way when the search ended; they are tried once more", again)
        for slot, worker in workers.items():
            _send(worker, job, slot)
        while workers:
            time.sleep(_EVERY_S)
            tell(in_words(study, job))
            for slot, worker in list(workers.items()):
                if worker.alive:
                    continue
                del workers[slot]
                others = [one.process.pid for one in workers.values()]
                if _was_killed(worker, study, others) and study.has_work:
                    workers[slot] = Worker(_MODULE)
                    _send(workers[slot], job, slot)
    finally:
        for worker in workers.values():
            worker.close()
    return study


def _was_killed(worker: Worker, study: Study, others: list[int]) -> bool:
    """Whether a process that ended was killed over a trial, which somebody is to try again."""
    try:
        worker.answer()
        return False
    except WorkerDied as error:
        lost = study.bury(others)
        if worker.process.returncode >= 0 or not lost:
            raise
        _log.warning("%s; it had trial %d", error, lost[0])
        return True
    finally:
        worker.close()


def _send(worker: Worker, job: Job, slot: int) -> None:
    threads = max(1, len(os.sched_getaffinity(0)) // job.search.parallel)
    worker.send({"job": border.dump(job), "slot": slot, "threads": threads})


def in_words(study: Study, job: Job) -> str:
    """How far the search is: `12 of 30 trials; best auc 0.9312`."""
    ended = sum(one.state.is_finished() for one in study.trials)
    best = study.winner
    words = f"{ended} of {job.search.trials} trials"
    return words if best is None else f"{words}; best {job.metric_name} {formats.figure(best.value)}"
