"""The trials of a search, which processes on one machine or several share: who tries what, and what becomes of one that is lost.

Whoever runs the search plans the trials, a few ahead of those who try them. To begin one is a step that the storage lets one of them
do alone, so nobody needs a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from components.tuner._job import Job
from spec.workload import Search

# Attributes of a trial: the process that has it, a number that grows while that lives, why it failed, the lost one that it repeats.
WORKER, BEAT, REASON, INSTEAD_OF = "worker", "beat", "reason", "instead_of"
_REDUCTION, _RUNGS = 2, 3
_AHEAD = 2


class Study:
    """The trials of a job.

    Every process that takes part opens one of its own, after whoever runs the search has called `create`.
    """

    def __init__(self, job: Job, storage: BaseStorage) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._search, self._storage, self._ahead = job.search, storage, _AHEAD * job.processes
        self._study = optuna.load_study(
            study_name=job.study, storage=storage, pruner=pruner(job.search, job.training.epochs)
        )
        self._id = storage.get_study_id_from_name(job.study)

    @classmethod
    def create(cls, job: Job, storage: BaseStorage) -> Study:
        """A new study; the one that an earlier attempt of the search left, where there is one."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        direction = StudyDirection.MINIMIZE if job.metric.lower_is_better else StudyDirection.MAXIMIZE
        optuna.create_study(storage=storage, study_name=job.study, direction=direction, load_if_exists=True)
        return cls(job, storage)

    @property
    def trials(self) -> list[FrozenTrial]:
        """All of them, lost ones included, by number."""
        return self._study.get_trials(deepcopy=False)

    @property
    def winner(self) -> FrozenTrial | None:
        """The best of the trials that came to their end; of equals the first."""
        finished = [one for one in self.trials if one.state is TrialState.COMPLETE]
        sign = 1 if self._study.direction is StudyDirection.MINIMIZE else -1
        return min(finished, key=lambda one: (sign * (one.value or 0.0), one.number), default=None)

    @property
    def is_over(self) -> bool:
        """Whether nobody has anything to try any more."""
        trials = self._counted()
        return not self._left(trials) and not _unrepeated(trials) and all(one.state.is_finished() for one in trials)

    def plan(self) -> None:
        """Adds trials for those who take part: what was lost once more, and new ones as long as few wait. For one process alone."""
        trials = self._counted()
        for one in _unrepeated(trials):
            self._study.enqueue_trial(one.params, user_attrs={INSTEAD_OF: one.number})
        waiting = sum(one.state is TrialState.WAITING for one in trials)
        for _ in range(min(self._ahead - waiting, self._left(trials))):
            self._study.enqueue_trial({})

    def claim(self, worker: str) -> optuna.Trial | None:
        """The next trial, for this process; None where none waits."""
        trials = self._counted()
        for one in trials:
            if one.state is not TrialState.WAITING or not self._begins(one.number):
                continue
            # Of its own for each trial: what is tried does not depend on which process tries it, and none repeats another.
            self._study.sampler = sampler(self._search, _place(one, trials))
            trial = optuna.Trial(self._study, self._id_of(one.number))
            trial.set_user_attr(WORKER, worker)
            return trial
        return None

    def beat(self, number: int, count: int) -> None:
        """Says that a trial's process lives.

        Raises:
            UpdateFinishedTrialError: the trial was given up.
        """
        self._storage.set_trial_user_attr(self._id_of(number), BEAT, count)

    def end(self, trial: optuna.Trial, value: float | None, state: TrialState, reason: str = "") -> None:
        """Notes what a trial came to.

        Args:
            value: of one that is complete.
            reason: why it failed.

        Raises:
            UpdateFinishedTrialError: it was given up meanwhile.
        """
        if reason:
            trial.set_user_attr(REASON, reason)
        if self._storage.get_trial(self._id_of(trial.number)).state.is_finished():
            raise UpdateFinishedTrialError
        self._study.tell(trial, value, state)

    def bury(self, is_gone: Callable[[FrozenTrial], bool]) -> list[int]:
        """Ends trials whose process is gone; `plan` has each tried once more, and not a third time.

        Args:
            is_gone: asked about each trial under way.

        Returns:
            Their numbers.
        """
        lost = [one.number for one in self.trials if one.state is TrialState.RUNNING and is_gone(one)]
        return [number for number in lost if self._fails(number)]

    def _counted(self) -> list[FrozenTrial]:
        """The trials that were asked for and those that repeat them; there may be more, if `trials` was larger before."""
        trials = self.trials
        asked = [one.number for one in trials if INSTEAD_OF not in one.user_attrs][: self._search.trials]
        return [one for one in trials if one.user_attrs.get(INSTEAD_OF, one.number) in asked]

    def _left(self, trials: Sequence[FrozenTrial]) -> int:
        """How many trials there have yet to be; one that repeats a lost one is the same."""
        return self._search.trials - sum(INSTEAD_OF not in one.user_attrs for one in trials)

    def _begins(self, number: int) -> bool:
        """Takes a trial that waits; False: another process was first."""
        try:
            return self._storage.set_trial_state_values(self._id_of(number), TrialState.RUNNING)
        except UpdateFinishedTrialError:
            return False

    def _fails(self, number: int) -> bool:
        try:
            return self._storage.set_trial_state_values(self._id_of(number), TrialState.FAIL)
        except UpdateFinishedTrialError:
            return False

    def _id_of(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)


def is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial's process went before it had ended."""
    return trial.state is TrialState.FAIL and REASON not in trial.user_attrs


def _unrepeated(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """Lost trials that are to be tried once more."""
    repeated = {one.user_attrs.get(INSTEAD_OF) for one in trials}
    return [one for one in trials if is_lost(one) and INSTEAD_OF not in one.user_attrs and one.number not in repeated]


def _place(trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
    """Among the trials that were asked for, of a trial or of the one that it repeats."""
    number = trial.user_attrs.get(INSTEAD_OF, trial.number)
    return sum(INSTEAD_OF not in one.user_attrs for one in trials if one.number < number)


def pruner(search: Search, epochs: int) -> optuna.pruners.BasePruner:
    """Of `training.search.pruner`.

    A trial is looked at after 1/8, 1/4 and 1/2 of the epochs (or the next whole number), each time among those that came as far.
    """
    first = max(1, round(epochs / _REDUCTION**_RUNGS))
    if search.pruner == "none":
        return optuna.pruners.NopPruner()
    if search.pruner == "hyperband":
        return optuna.pruners.HyperbandPruner(first, epochs, _REDUCTION)
    # Asynchronous successive halving (Li et al., https://arxiv.org/abs/1810.05934).
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=_REDUCTION)


def sampler(search: Search, place: int) -> optuna.samplers.BaseSampler:
    """Of `training.search.sampler`, for the trial at this place."""
    seed = int(np.random.SeedSequence([search.seed, place]).generate_state(1)[0])
    if search.sampler == "random":
        return optuna.samplers.RandomSampler(seed)
    return optuna.samplers.TPESampler(seed=seed, constant_liar=True)


def epochs_of(trials: Sequence[FrozenTrial]) -> int:
    """Epochs that trials took."""
    return sum(one.last_step or 0 for one in trials)
