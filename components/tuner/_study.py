"""The trials of a search, which several processes share: who tries what, and what becomes of a trial whose process died.

Optuna's journal is a file to which each process appends, so that a search which is killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from components.searched import JOURNAL_FILE
from components.tuner._job import Job
from spec.workload import Search

NAME = "search"
# Attributes of a trial: the process that has it, why it failed, and the lost one that it repeats.
WORKER, REASON, INSTEAD_OF = "worker", "reason", "instead_of"
_REDUCTION, _RUNGS = 4, 2


class Study:
    """The trials of a job, in its folder.

    Every process that takes part opens one of its own.
    """

    def __init__(self, job: Job) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search, folder = job.search, pathlib.Path(job.folder)
        folder.mkdir(parents=True, exist_ok=True)
        journal = folder / JOURNAL_FILE
        self._claims = folder / ".claims"
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(journal), _Lock(journal))),
            study_name=NAME,
            direction="minimize" if job.metric.lower_is_better else "maximize",
            pruner=pruner(job.search, job.training.epochs),
            load_if_exists=True,
        )

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of them, lost ones included, by number."""
        return self._study.get_trials(deepcopy=False)

    @property
    def winner(self) -> FrozenTrial | None:
        """The best of the trials that came to their end; of equals the first."""
        finished = [one for one in self.trials if one.state is TrialState.COMPLETE]
        sign = 1 if self._study.direction is optuna.study.StudyDirection.MINIMIZE else -1
        return min(finished, key=lambda one: (sign * (one.value or 0.0), one.number), default=None)

    def claim(self) -> optuna.Trial | None:
        """The next trial, for this process; None where all are done or under way."""
        with _locked(self._claims):
            waiting = [one.number for one in self.trials if one.state is TrialState.WAITING]
            if not waiting and not self._left:
                return None
            # Of its own for each number: what is tried does not depend on which process tries it, and none repeats another.
            self._study.sampler = sampler(self._search, min(waiting, default=len(self.trials)))
            trial = self._study.ask()
            trial.set_user_attr(WORKER, os.getpid())
            return trial

    def end(self, trial: optuna.Trial, value: float | None, state: TrialState, reason: str = "") -> None:
        """Notes what a trial came to.

        Args:
            value: of one that is complete.
            reason: why it failed.
        """
        if reason:
            trial.set_user_attr(REASON, reason)
        self._study.tell(trial, value, state)

    def bury(self, alive: Collection[int] = ()) -> list[int]:
        """Ends the trials whose process is gone; each is tried once more, and not a third time.

        Args:
            alive: processes that take part.

        Returns:
            Their numbers.
        """
        with _locked(self._claims):
            trials = self.trials
            lost = [
                one for one in trials if one.state is TrialState.RUNNING and one.user_attrs.get(WORKER) not in alive
            ]
            repeated = {one.user_attrs.get(INSTEAD_OF) for one in trials}
            for one in lost:
                if INSTEAD_OF not in one.user_attrs and one.number not in repeated:
                    self._study.enqueue_trial(one.params, user_attrs={INSTEAD_OF: one.number})
                self._study.tell(one.number, state=TrialState.FAIL)
            return [one.number for one in lost]

    @property
    def has_work(self) -> bool:
        """Whether a process would find a trial."""
        return self._left > 0 or any(one.state is TrialState.WAITING for one in self.trials)

    @property
    def _left(self) -> int:
        """How many trials there have yet to be; one that repeats a lost one is the same."""
        return self._search.trials - sum(INSTEAD_OF not in one.user_attrs for one in self.trials)


def pruner(search: Search, epochs: int) -> optuna.pruners.BasePruner:
    """Of `training.search.pruner`.

    A trial is looked at after 1/16 and 1/4 of the epochs (or the next whole number), each time among those that came as far.
    """
    first = max(1, round(epochs / _REDUCTION**_RUNGS))
    if search.pruner == "none":
        return optuna.pruners.NopPruner()
    if search.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(first, epochs, _REDUCTION)
    # Asynchronous successive halving (Li et al., https://arxiv.org/abs/1810.05934).
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=_REDUCTION)


def sampler(search: Search, number: int) -> optuna.samplers.BaseSampler:
    """Of `training.search.sampler`, for the trial of this number."""
    seed = int(np.random.SeedSequence([search.seed, number]).generate_state(1)[0])
    if search.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=search.parallel > 1)


def epochs_of(trials: Sequence[FrozenTrial]) -> int:
    """Epochs that trials took."""
    return sum(one.last_step or 0 for one in trials)


class _Lock(JournalFileOpenLock):
    """The journal's, which the kernel lets go when its holder dies: Optuna's own ones make the others wait for half a minute.

    A process that is killed while it writes leaves half a line, after which nobody could read the journal: the next one to write
    removes it.
    """

    def __init__(self, journal: pathlib.Path) -> None:
        super().__init__(str(journal))
        self._journal, self._held = journal, contextlib.ExitStack()

    def acquire(self) -> bool:
        self._held.enter_context(_locked(self._journal.with_suffix(".lock")))
        with self._journal.open("rb+") as file:
            content_end = file.seek(0, os.SEEK_END)
            if content_end and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self._held.close()


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
