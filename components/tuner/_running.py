"""A search, run: by processes of this machine, or of several that this one answers for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from components import formats
from components.progress import tell
from components.tuner import _storages
from components.tuner._crew import Crew
from components.tuner._job import Job
from components.tuner._study import BEAT, Study
from components.tuner.machines import Machines

_log = logging.getLogger(__name__)

_EVERY_S = 0.5
# Machines beat every `worker.BEAT_S` seconds.
_SILENT_S = 60.0
_FAREWELL_S = 60.0


def search(job: Job, prepare: Callable[[], None]) -> Study:
    """Tries what is left of a job, in processes of this machine.

    Args:
        prepare: makes the job's Examples; the processes import meanwhile.

    Raises:
        InputError: the data cannot be learnt from.
        WorkerDied: a process ended by an error that is no trial's, or the last one before it had a trial.
    """
    with Crew(job.search.parallel) as crew:
        prepare()
        study = _begin(job, _storages.shared(job))
        crew.start(job)
        while crew.watch(study):
            study.plan()
            tell(in_words(study, job))
            time.sleep(_EVERY_S)
    return study


def search_on(machines: Machines, job: Job, prepare: Callable[[], None]) -> Study:
    """Tries what is left of a job, on other machines. This one keeps the trials, and gives up those that nothing is heard of.

    Raises:
        InputError: the data cannot be learnt from, or the trials cannot be kept.
    """
    prepare()
    machines.clear()
    storage = _storages.kept(job)
    study, heard = _begin(job, storage), Hearing()
    with _storages.served(storage, machines.host) as address:
        machines.start(address)
        while not study.is_over:
            if lost := study.bury(heard.is_silent):
                _log.warning("nothing was heard of trials %s for %.0f s; they are given up", lost, _SILENT_S)
            study.plan()
            machines.check()
            tell(in_words(study, job))
            time.sleep(_EVERY_S)
        machines.dismiss(_FAREWELL_S)
    return Study(job, _storages.archive(storage, job))


def take_part(job: Job, prepare: Callable[[], None]) -> None:
    """Tries trials that another machine answers for, until none is left.

    Raises:
        InputError: the data cannot be learnt from.
        WorkerDied: a process ended by an error that is no trial's, or the last one before it had a trial.
    """
    with Crew(job.search.parallel) as crew:
        prepare()
        study = Study(job, _storages.shared(job))
        crew.start(job)
        while crew.watch(study):
            time.sleep(_EVERY_S)


class Hearing:
    """What was last heard of the trials under way, by this machine's clock alone: those of others may differ."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[object, float]] = {}
        self._asked = 0.0

    def is_silent(self, trial: FrozenTrial) -> bool:
        """Whether nothing has been heard for `_SILENT_S` seconds.

        Who does not ask for a while, because the database was away, has not heard either: the time begins anew.
        """
        said, now = (trial.user_attrs.get(BEAT), trial.last_step), time.monotonic()
        if now - self._asked > _SILENT_S / 3:
            self._last.clear()
        self._asked = now
        before, since = self._last.setdefault(trial.number, (said, now))
        if before != said:
            self._last[trial.number] = (said, now)
            return False
        return now - since > _SILENT_S


def _begin(job: Job, storage: BaseStorage) -> Study:
    """The study of a search at which nobody is at work yet."""
    study = Study.create(job, storage)
    if again := study.bury(lambda trial: True):
        _log.warning("trials %s were under way when the search ended; they are tried once more", again)
    study.plan()
    return study


def in_words(study: Study, job: Job) -> str:
    """How far the search is: `12 of 30 trials; best auc 0.9312`."""
    ended = sum(one.state.is_finished() for one in study.trials)
    best = study.winner
    words = f"{ended} of {job.search.trials} trials"
    return words if best is None else f"{words}; best {job.metric_name} {formats.figure(best.value)}"
