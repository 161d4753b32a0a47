"""What a training has come to after an epoch, apart from the state of model and optimizer."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

_LOSSES = {"loss": "loss", "val_loss": "eval loss"}


@dataclasses.dataclass
class Progress:
    """Epochs are counted from 0.

    Attributes:
        history: values by metric, one an epoch; eval's begin with `val_`.
        seconds: of each epoch, its evaluation included.
        resumed_at: the epochs that a new process started with.
        best_epoch: whose weights are to be kept: of the least eval loss so far, or the last.
        best_weights: of that epoch; None before the first, and where the last is kept.
        drawn: by epoch, counted from 1, what the model then made, PNG as base64.
    """

    history: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    seconds: list[float] = dataclasses.field(default_factory=list)
    resumed_at: list[int] = dataclasses.field(default_factory=list)
    best_epoch: int = 0
    best_weights: list[npt.NDArray[Any]] | None = None
    drawn: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """How many are done."""
        return len(self.seconds)

    @property
    def is_finite(self) -> bool:
        """Whether every training loss so far is a number."""
        return all(map(math.isfinite, self.history.get("loss", [])))

    def add(self, logs: Mapping[str, float], seconds: float, model: Any, keep: str = "best") -> None:
        """Takes an epoch's metrics, and the model's weights if none before were better and the best are to be kept."""
        best = np.inf if self.best_weights is None else self.history["val_loss"][self.best_epoch]
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        self.seconds.append(round(seconds, 3))
        if keep == "last":
            self.best_epoch = self.epochs - 1
        elif logs.get("val_loss", np.inf) < best:
            self.best_epoch, self.best_weights = self.epochs - 1, model.get_weights()

    def is_over(self, epochs: int, patience: int | None) -> bool:
        """Whether training ends here: all epochs done, a loss that is no number, or no lower eval loss for so many epochs."""
        if self.epochs >= epochs or not self.is_finite:
            return True
        stale = self.epochs - 1 - self.best_epoch
        return patience is not None and self.epochs > 1 and stale >= patience

    def in_words(self, epochs: int) -> str:
        """For whoever waits: the epoch that begins, the losses of the last one, and how long the rest may take.

        Example:
            >>> Progress({"loss": [0.5], "val_loss": [0.6]}, [20.0]).in_words(3)
            'epoch 2 of 3; loss 0.5, eval loss 0.6; at most 40 s left'
        """
        words = f"epoch {self.epochs + 1} of {epochs}"
        losses = [f"{name} {self.history[key][-1]:.4g}" for key, name in _LOSSES.items() if self.history.get(key)]
        if not losses:
            return words
        # The first epoch of a process builds the graph, too.
        lately = self.seconds[-3:]
        left = (epochs - self.epochs) * sum(lately) / len(lately)
        return f"{words}; {', '.join(losses)}; at most {_duration(left)} left"

    def to_plain(self) -> dict[str, Any]:
        """For JSON; without the weights."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "best_weights"}


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
