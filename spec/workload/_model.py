"""How the model is fitted, and what it must reach."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from spec import metrics
from spec.section import ColumnName, LookedAtColumn, Section
from spec.workload._privacy import Privacy
from spec.workload._search import Search, Value, objection

LEARNING_RATE = "learning_rate"
"""The optimizer's, declared among the hyper-parameters or not."""
DEFAULT_LEARNING_RATE = 1e-3
_LEAST_PRIVATE_BATCH = 32
_SEARCHED_FIELDS = ("batch_size", "weight_decay")


# A release of a workload, by a label or by its version.
_RELEASE = r"[a-z][a-z0-9_]*@[a-z0-9][a-z0-9_-]*"
CHAMPION = "champion"
Prefix = Annotated[str, Field(min_length=1, max_length=200)]


class Teacher(Section):
    release: str = Field(pattern=f"^{_RELEASE}$")
    """By a label or by its version: mnist@stable, mnist@3. It has the student's task and classes, and takes columns of the
    student's data."""
    temperature: float = Field(default=2.0, ge=1, le=100)
    """By which the logarithms of both models' probabilities are divided before they are compared: higher ones show more of how alike
    the teacher finds the other classes. Nothing to a regression."""
    weight: float = Field(default=0.5, gt=0, le=1)
    """What the teacher's answers count in the loss; the labels have the rest."""


class Training(Section):
    epochs: int = Field(default=10, ge=1, le=10_000)
    """Passes over the training split."""
    batch_size: int = Field(default=256, ge=1, le=1_048_576)
    """Rows a training step, of all devices together."""
    early_stopping_patience: int | None = Field(default=3, ge=1, le=10_000)
    """Stop when the eval loss has not fallen for so many epochs. null: never."""
    keep_weights: Literal["best", "last"] = "best"
    """best: of the epoch with the least eval loss; last: of the last one, where the eval loss says nothing of how good a model is, as
    with networks that are trained against each other. Training then stops early for nothing."""
    seed: int = Field(default=1, ge=0, le=2**31 - 1)
    """For weights, shuffling and augmentation: two runs on the same data give the same model on the same machine."""
    hyperparameters: dict[str, float | int | str | bool] = {}
    """Passed to build_model as they stand. `learning_rate` is also the optimizer's."""
    learning_rate_schedule: Literal["constant", "cosine"] = "constant"
    """constant: `learning_rate` all along; cosine: it falls along half a cosine to a hundredth at the last epoch. Not for a model that
    build_model compiles itself."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """How strongly weights are drawn to zero (AdamW); 0: not at all. Not for a model that build_model compiles itself."""
    label_scale: Literal["linear", "log"] = "linear"
    """Regression only. log: the model learns log(1 + label), for amounts with a long tail of which a large one is not to count a
    thousand times; labels must be 0 or more. Predictions and metrics are in the label's own unit either way, and never below 0."""
    distribution: Literal["auto", "none", "mirrored", "multi_worker"] = "auto"
    """Over which devices: auto: all GPUs of the machine, or the CPU, and of all machines on a pool of several nodes; none: one
    device; mirrored: all of the machine, or fail; multi_worker: all of several machines, or fail (docs/guides/training.md)."""
    mixed_precision: bool = False
    """Layers compute in half precision (bfloat16; float16 on GPUs that lack it), weights and outputs stay float32; the released
    model is float32."""
    jit_compile: Literal["auto", True, False] = "auto"
    """Whether XLA compiles the training steps. auto: on one GPU, where the model's layers allow it. Not for a model that
    build_model compiles itself."""

    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    """For labels of classes: what a row counts in the loss. balanced: all classes weigh the same together, however few rows they
    have; else a weight by class, 1 for those that are not named. The probabilities then rank rows and are no shares."""
    decision_threshold: float | Literal["best_f1"] | dict[str, float] = 0.5
    """For labels of two classes: above which probability a row is called positive, by the served model and in accuracy,
    precision, recall and f1. best_f1: where F1 is greatest on eval; {precision: 0.9}: where recall is greatest of all that keep
    that precision on eval; {recall: 0.8}: the other way round."""
    privacy: Privacy | None = None
    """Differential privacy: what one row of train may change in the model is bounded (docs/guides/privacy.md). Default: it is not."""
    search: Search | None = None
    """Hyper-parameters that are searched before the model is trained with the best (docs/guides/search.md). Default: none."""

    start_from: str | None = Field(default=None, pattern=f"^({CHAMPION}|{_RELEASE})$")
    """The release whose weights training begins with, `champion` (the workload's own stable one; where there is none yet, training
    begins anew) or of any workload by a label or a version: mnist@stable, mnist@3. A layer's weights are taken where the model has a
    layer of the same name and shapes; the others begin as build_model makes them. A label that has moved trains anew."""
    freeze: tuple[Prefix, ...] = ()
    """What the names of layers begin with that are not trained. With `start_from` only what was taken is frozen."""
    learning_rates: dict[Prefix, float] = {}
    """By what the names of layers begin with, the part of the learning rate that they learn at: {conv: 0.1}. The longest that fits
    counts; with `start_from`, for what was taken. Not for a model that build_model compiles itself."""
    teacher: Teacher | None = None
    """A released model that this one learns from beside the labels: {release: mnist@stable, temperature: 4, weight: 0.5}. For
    tasks binary, multiclass and regression. A label that has moved trains anew."""

    # Each in one line, where pydantic would have one for every type that is allowed.
    @field_validator("learning_rates")
    @classmethod
    def _positive_rates(cls, rates: dict[str, float]) -> dict[str, float]:
        if odd := [f"{name}: {rate}" for name, rate in rates.items() if not _is_number(rate, above=0)]:
            raise ValueError(f"expected factors above 0; training.freeze keeps layers as they are. Received: {odd[0]}")
        return rates

    @field_validator("teacher", mode="before")
    @classmethod
    def _release_alone(cls, teacher: Any) -> Any:
        return {"release": teacher} if isinstance(teacher, str) else teacher

    @field_validator("class_weights", mode="before")
    @classmethod
    def _weights_by_class(cls, weights: Any) -> Any:
        if isinstance(weights, dict) and weights:
            if odd := [name for name in weights if isinstance(name, bool) or not isinstance(name, int | str)]:
                raise ValueError(f"YAML reads {odd[0]!r} where a class should be; write it in quotes")
            if all(_is_number(weight, above=0) for weight in weights.values()):
                return {str(name): weight for name, weight in weights.items()}
        elif weights in ("none", "balanced"):
            return weights
        raise ValueError(
            f"expected none, balanced, or a weight above 0 by class, as {{fraud: 10}}. Received: {weights!r}"
        )

    @field_validator("decision_threshold", mode="before")
    @classmethod
    def _number_or_aim(cls, value: Any) -> Any:
        aim = isinstance(value, dict) and len(value) == 1 and set(value) <= {"precision", "recall"}
        if value == "best_f1" or (aim and all(_is_number(one, above=0, most=1) for one in value.values())):
            return value
        if _is_number(value, most=1) and 0 <= value < 1:
            return value
        raise ValueError(
            "expected a number from 0 to below 1, best_f1, or one of {precision: 0.9} and {recall: 0.9}. "
            f"Received: {value!r}"
        )

    @model_validator(mode="after")
    def _is_private_as_a_whole(self) -> Training:
        if self.privacy is None:
            return self
        if self.distribution in ("mirrored", "multi_worker"):
            raise ValueError(f"privacy takes one device. Received: distribution {self.distribution}; set it to none")
        if self.mixed_precision:
            raise ValueError("privacy needs gradients in float32: remove mixed_precision")
        if self.batch_size < _LEAST_PRIVATE_BATCH:
            raise ValueError(
                f"privacy draws each row of a batch by chance: batch_size must be at least {_LEAST_PRIVATE_BATCH}, so that none is "
                f"empty. Received: {self.batch_size}"
            )
        if self.start_from or self.teacher:
            raise ValueError(
                "privacy: what a release learnt of the rows of train would come back in by start_from or teacher, uncounted. Remove "
                "one of them"
            )
        if self.search is not None:
            raise ValueError(
                "privacy: every trial of a search would spend epsilon too, which is not counted. Remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _one_student(self) -> Training:
        if self.teacher and self.search:
            raise ValueError(
                "teacher: a search would ask it about every row again for each trial. Remove one of teacher and search"
            )
        return self

    @model_validator(mode="after")
    def _searches_what_there_is(self) -> Training:
        for name, dimension in self.search.space.items() if self.search else ():
            known = {*self.hyperparameters, LEARNING_RATE, *_SEARCHED_FIELDS}
            if name not in known:
                raise ValueError(
                    f"search.space: there is no hyper-parameter {name!r}. Declare it under training.hyperparameters, or use one of "
                    f"{', '.join(sorted(known))}"
                )
            if problem := objection(name, dimension, self.value_of(name)) or self._objection_to(
                name, dimension.extremes()
            ):
                raise ValueError(f"search.space: {problem}")
        return self

    def _objection_to(self, name: str, values: Iterable[Value]) -> str:
        """Whether a trial would have a value that workload.yaml itself must not have."""
        for value in values:
            if name == LEARNING_RATE and float(value) <= 0:
                return f"{name} must be above 0. Received: {value!r}"
            if self.path_of(name) == (name,):
                try:
                    Training.model_validate({name: value})
                except ValidationError as error:
                    return f"{name}: {error.errors()[0]['msg']}. Received: {value!r}"
        return ""

    def path_of(self, name: str) -> tuple[str, ...]:
        """Where the value of a searched name stands below `training`: what is declared as a hyper-parameter is one."""
        return (name,) if name in _SEARCHED_FIELDS and name not in self.hyperparameters else ("hyperparameters", name)

    def value_of(self, name: str) -> Value:
        """The value that workload.yaml gives a name that may be searched."""
        if self.path_of(name) == (name,):
            return getattr(self, name)  # type: ignore[no-any-return]
        return self.hyperparameters.get(name, DEFAULT_LEARNING_RATE)

    def with_values(self, values: Mapping[str, Value]) -> Self:
        """The same with the values of a trial, by the names of the space."""
        fields = {name: value for name, value in values.items() if self.path_of(name) == (name,)}
        others = {name: value for name, value in values.items() if name not in fields}
        return self.model_copy(update={**fields, "hyperparameters": {**self.hyperparameters, **others}})

    def without_searched(self) -> Self:
        """The same as far as a search depends on it: what every trial has a value of its own for is left out."""
        always = {name for name, one in self.search.space.items() if not one.when} if self.search else set()
        fields = {n: type(self).model_fields[n].default for n in always if self.path_of(n) == (n,)}
        kept = {name: value for name, value in self.hyperparameters.items() if name not in always - fields.keys()}
        return self.model_copy(update={**fields, "hyperparameters": kept, "search": None})


def _is_number(value: Any, above: float = -math.inf, most: float = math.inf) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and above < value <= most and value < math.inf


_LEAST_ROWS, _LEAST_ROWS_OF_SLICE = 10, 100


class Bound(Section):
    metric: str
    """A metric of this task, e.g. auc, accuracy, rmse (docs/reference/metrics.md)."""
    min: float | None = None
    """The least value that is good enough."""
    max: float | None = None
    """The greatest value that is good enough."""

    def keeps_surely(self, low: float, high: float) -> bool:
        """Whether a value that is at least `low` and at most `high` lies within the bounds."""
        return (self.min is None or low >= self.min) and (self.max is None or high <= self.max)

    def keeps(self, value: float | None) -> bool:
        """Whether a value lies within the bounds; an undefined one does not."""
        return value is not None and self.keeps_surely(value, value)

    def __str__(self) -> str:
        bounds = [
            f">= {self.min:g}" if self.min is not None else "",
            f"<= {self.max:g}" if self.max is not None else "",
        ]
        return f"{self.metric} {' and '.join(b for b in bounds if b)}"

    @model_validator(mode="after")
    def _has_bound(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError(f"threshold for {self.metric!r} needs min or max")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"threshold for {self.metric!r}: min {self.min} is above max {self.max}")
        if metrics.find(self.metric).bounded:
            for bound in (self.min, self.max):
                if bound is not None and not 0 <= bound <= 1:
                    raise ValueError(f"threshold for {self.metric!r} must lie between 0 and 1. Received: {bound}")
        return self


class Threshold(Bound):
    slice: ColumnName | None = None
    """A column: the bound holds for each of its slices of at least `min_rows` rows. Default: over all rows."""
    min_rows: int | None = Field(default=None, ge=1)
    """Rows that it takes to judge (of ranking over all rows: queries). Smaller slices are shown but not judged; where none is large
    enough the bound is not judged (see `not_judged`). Default: 100 of a slice, 10 over all rows."""

    @property
    def least(self) -> int:
        """Rows that it takes to judge."""
        return self.min_rows or (_LEAST_ROWS if self.slice is None else _LEAST_ROWS_OF_SLICE)

    def __str__(self) -> str:
        return f"{super().__str__()} in every slice of {self.slice}" if self.slice else super().__str__()


class FairnessThreshold(Bound):
    metric: Literal[
        "demographic_parity_difference",
        "demographic_parity_ratio",
        "equalized_odds_difference",
        "equal_opportunity_difference",
    ]
    """How the groups of the column are compared; of several classes each is held against the rest, and the worst counts."""
    column: ColumnName
    """The column whose groups must be treated alike."""

    def __str__(self) -> str:
        return f"{super().__str__()} among the groups of {self.column}"

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        lower = metrics.FAIRNESS[self.metric].lower_is_better
        wrong, right, ideal = ("min", "max", 0) if lower else ("max", "min", 1)
        if getattr(self, wrong) is not None:
            raise ValueError(
                f"{self.metric} is {ideal} where groups are treated alike: give {right}. Received: {wrong}"
            )
        if getattr(self, right) == ideal:
            raise ValueError(f"{self.metric}: no finite number of rows can show {right}: {ideal}. Give it some room")
        return self


class Fairness(Section):
    """Whether groups of people, or of anything else, are treated alike (docs/guides/responsible.md)."""

    columns: tuple[LookedAtColumn, ...] = ()
    """Columns whose values make groups that are compared in every report. They need not be features; personal ones may be named."""
    thresholds: tuple[FairnessThreshold, ...] = ()
    """Bounds that a model must keep to be blessed."""
    min_rows: int = Field(default=100, ge=1)
    """Rows of the test split that a group needs to be compared; smaller ones are shown only. Where fewer than two groups have as
    many, a bound is not judged (see `not_judged`)."""

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Those shown and those judged."""
        return tuple(dict.fromkeys((*self.columns, *(one.column for one in self.thresholds))))


class Importance(Section):
    """How much the model needs each raw column: by how much its first metric falls when the column is shuffled."""

    rows: int = Field(default=1000, ge=0, le=100_000)
    """Rows of the test split that are looked at, at most: fewer where there are many columns. 0: importance is not measured."""
    repeats: int = Field(default=5, ge=2, le=100)
    """How often each column is shuffled anew, to see the spread."""


GRADIENT_BOOSTING = "gradient_boosting"
_METHOD = re.compile(r"[a-z]\w*")  # what begins with an underscore is the module's own


class Champion(Section):
    metric: str | None = None
    """The metric by which challenger and champion are compared. Default: auc, accuracy, rmse or ndcg_10, by task."""
    max_loss: float = Field(default=0.0, ge=0)
    """How much worse than the champion the challenger may be, in the metric's own unit."""


class Evaluation(Section):
    thresholds: tuple[Threshold, ...] = ()
    """Bounds that a model must keep to be blessed."""
    slices: tuple[LookedAtColumn, ...] = ()
    """Columns by whose values every metric is shown too."""
    champion: Champion = Champion()
    """The comparison with the stable release."""
    fairness: Fairness = Fairness()
    """Whether groups are treated alike."""
    importance: Importance = Importance()
    """How much the model needs each column."""
    judge: str | None = Field(default=None, pattern=f"^{_RELEASE}$")
    """For tasks that are judged by another model, and needed there: a release, by a label or by its version: mnist@stable, mnist@3. A
    label that has moved judges anew."""
    baseline: tuple[str, ...] = (GRADIENT_BOOSTING,)
    """The simple methods that stand beside the model in every report. gradient_boosting: scikit-learn's, untuned, on the raw columns
    and at most 100,000 rows of the train split; any other name: a function in the workload's own baseline.py
    (docs/guides/baselines.md). none: the model stands alone. They hold nothing back; where one wins, the report says so."""
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    """How sure it has to be that a bound of `thresholds` holds for rows like those of the test split, and not by chance on these few
    (one-sided; docs/reference/metrics.md has the methods). 0.5: about as likely as not."""
    not_judged: Literal["hold", "warn"] = "hold"
    """What it means that a bound cannot be judged, because too few rows or no slice is there to judge it by. hold: the model is not
    released; warn: it may be, and the run says what was not judged."""

    @field_validator("baseline", mode="before")
    @classmethod
    def _list_of_methods(cls, value: Any) -> Any:
        names = () if value == "none" else (value,) if isinstance(value, str) else value
        fine = isinstance(names, list | tuple) and all(
            isinstance(name, str) and _METHOD.fullmatch(name) for name in names
        )
        if not fine or "none" in names or len(set(names)) < len(names):
            raise ValueError(
                f"expected {GRADIENT_BOOSTING}, none, or a list of different names of functions in baseline.py. Received: {value!r}"
            )
        return tuple(names)

    @property
    def slice_columns(self) -> tuple[str, ...]:
        """The columns to slice by: those shown and those judged."""
        judged = (t.slice for t in self.thresholds if t.slice)
        return tuple(dict.fromkeys((*self.slices, *judged, *self.fairness.all_columns)))


class InfraValidation(Section):
    requests: int = Field(default=16, ge=1, le=1024)
    """How many rows of the test split are replayed against the exported model."""
    timeout_s: int = Field(default=120, ge=1, le=3600)
    """Wall-clock limit of load and replay, in seconds."""
    memory_mb: int = Field(default=4096, ge=256, le=2**24)
    """Memory limit of the validating process, in MiB."""
