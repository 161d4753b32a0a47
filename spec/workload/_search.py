"""Which hyper-parameters are searched, and how."""

from __future__ import annotations

import graphlib
import math
from typing import Any, Literal

from pydantic import Field, model_validator

from spec.section import Section

Value = bool | int | float | str


class Dimension(Section):
    type: Literal["float", "int", "categorical"]
    """What is tried: numbers, whole numbers, or one of `choices`."""
    low: float | None = None
    """float and int: the least value."""
    high: float | None = None
    """float and int: the greatest value; it is tried, too."""
    log: bool = False
    """float and int: whether values are drawn evenly on a logarithmic scale, as suits a learning rate."""
    step: float | None = Field(default=None, gt=0)
    """float and int: only `low`, `low` + `step` and so on are tried. Not with `log`."""
    choices: tuple[Value, ...] = ()
    """categorical: what is tried."""
    when: dict[str, Value] = {}
    """Searched only in trials in which other searched hyper-parameters have these values: {optimizer: sgd}. In the others, and where
    the winner does without it, it keeps the value that workload.yaml gives it."""

    @model_validator(mode="after")
    def _is_possible(self) -> Dimension:
        objection = self._objection_to_choices() if self.type == "categorical" else self._objection_to_range()
        if objection:
            raise ValueError(objection)
        return self

    def extremes(self) -> tuple[Value, ...]:
        """All choices, or the least and the greatest value."""
        if self.type == "categorical":
            return self.choices
        assert self.low is not None and self.high is not None
        return (int(self.low), int(self.high)) if self.type == "int" else (self.low, self.high)

    def has(self, value: Value) -> bool:
        """Whether a trial may have the value."""
        if self.type == "categorical":
            return any(type(one) is type(value) and one == value for one in self.choices)
        assert self.low is not None and self.high is not None
        if isinstance(value, bool | str) or not self.low <= value <= self.high:
            return False
        return (self.type == "float" or value == int(value)) and (
            not self.step or _is_whole((value - self.low) / self.step)
        )

    def _objection_to_choices(self) -> str:
        if odd := [name for name in ("low", "high", "step", "log") if getattr(self, name)]:
            return f"type categorical has choices and no {odd[0]}. Remove it, or say type: float or int"
        if len({(type(one), one) for one in self.choices}) != len(self.choices) or len(self.choices) < 2:
            return f"type categorical needs two different choices or more. Received: {list(self.choices)!r}"
        return ""

    def _objection_to_range(self) -> str:
        if self.choices:
            return f"choices are for type categorical. Received: type {self.type}. Give low and high instead"
        if self.low is None or self.high is None:
            return f"type {self.type} needs low and high"
        if self.low >= self.high:
            return f"low must be below high. Received: low {self.low:g}, high {self.high:g}"
        if self.log and self.low <= 0:
            return f"log: true needs a low above 0. Received: {self.low:g}"
        if self.log and self.step:
            return f"step and log exclude each other; remove one. Received: step {self.step:g}"
        if self.step and self.step > self.high - self.low:
            return f"step is larger than the range, so that nothing but low is tried. Received: {self.step:g}"
        if self.type == "int" and (odd := [one for one in (self.low, self.high, self.step) if one and one != int(one)]):
            return f"type int needs whole numbers. Received: {odd[0]:g}"
        return ""


class Search(Section):
    trials: int = Field(default=20, ge=2, le=10_000)
    """How many combinations are tried."""
    parallel: int = Field(default=1, ge=1, le=256)
    """How many of them at the same time, each in a process of its own; processors are divided among them, and GPUs dealt out."""
    pruner: Literal["asha", "hyperband", "none"] = "asha"
    """Which trials end early. asha: after a few epochs, and again after four times as many, only the best quarter so far goes on;
    hyperband: several such ladders, some of which begin later; none: all go on."""
    sampler: Literal["tpe", "random"] = "tpe"
    """How values are chosen. tpe: by what the trials before came to; random: evenly."""
    metric: str | None = None
    """By what trials are compared: loss, or a metric that training shows of each epoch (binary: auc, accuracy; multiclass: accuracy;
    multilabel: auc; regression: rmse; segmentation: miou). Default: the champion's metric where training shows it."""
    holdout: float = Field(default=0.2, ge=0.01, le=0.5)
    """The share of train's rows that trials are compared on, and that none of them learns from."""
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    """Of the choice of values and of the held-out rows."""
    space: dict[str, Dimension] = Field(min_length=1)
    """What is searched, by name: hyper-parameters that `training.hyperparameters` declares, `learning_rate`, `batch_size` and
    `weight_decay`."""

    @model_validator(mode="after")
    def _conditions_can_hold(self) -> Search:
        for name, dimension in self.space.items():
            for other, value in dimension.when.items():
                where = f"space.{name}.when: {other}"
                if other not in self.space:
                    raise ValueError(f"{where} is not searched. Searched: {', '.join(self.space)}")
                if not self.space[other].has(value):
                    raise ValueError(f"{where} is never {value!r}. Name a value that is tried")
        try:
            _ = self.ordered
        except graphlib.CycleError as error:
            raise ValueError(f"space: conditions in a circle: {' -> '.join(error.args[1])}. Remove one") from None
        return self

    @property
    def ordered(self) -> dict[str, Dimension]:
        """The space, each name after those that its condition asks about."""
        order = graphlib.TopologicalSorter({name: [*one.when] for name, one in self.space.items()}).static_order()
        return {name: self.space[name] for name in order}


def objection(name: str, dimension: Dimension, own: Any) -> str:
    """What is wrong with searching a hyper-parameter that has a value of its own in workload.yaml; empty: nothing."""
    if isinstance(own, bool | str):
        fits, wanted = dimension.type == "categorical", "categorical"
    elif isinstance(own, int):
        fits, wanted = dimension.type != "float", "int or categorical"
    else:
        fits, wanted = True, ""
    if not fits:
        return f"{name} is {own!r} in workload.yaml, so its type is {wanted}. Received: {dimension.type}"
    if isinstance(own, int | float) and not isinstance(own, bool):
        odd = [one for one in dimension.extremes() if isinstance(one, bool | str)]
        return f"{name} is a number. Received: the choice {odd[0]!r}" if odd else ""
    return ""


def _is_whole(steps: float) -> bool:
    return math.isclose(steps, round(steps), abs_tol=1e-6)
