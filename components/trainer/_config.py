from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How to fit.

    Attributes:
        task: binary, multiclass, regression or ranking.
        label: the label's column.
        epochs: passes over the train split.
        batch_size: rows a step, of all devices together.
        early_stopping_patience: epochs without a lower eval loss before training stops; None: never.
        seed: for weights, shuffling and augmentation.
        hyperparameters: for build_model; `learning_rate` is the optimizer's too.
        distribution: auto, none, mirrored or multi_worker.
        mixed_precision: whether layers compute in half precision.
        label_scale: linear or log, regression only.
        learning_rate_schedule: constant, or cosine: it falls to a hundredth over the epochs.
        weight_decay: of AdamW; 0: Adam.
        jit_compile: whether XLA compiles the steps; auto: as Keras decides.
        class_weights: none, balanced, or a weight by class; what a row counts in the loss.
        decision_threshold: binary only: a number, best_f1, or {precision: p} or {recall: r}.
        na_values: texts that mean a missing value in the data, and so in requests; the model's description carries them.
        na_values_by_column: other such texts for some columns.
    """

    task: str
    label: str
    epochs: int = 10
    batch_size: int = 256
    early_stopping_patience: int | None = 3
    seed: int = 1
    hyperparameters: dict[str, float | int | str | bool] = dataclasses.field(default_factory=dict)
    distribution: str = "auto"
    mixed_precision: bool = False
    jit_compile: bool | str = "auto"
    class_weights: str | dict[str, float] = "none"
    decision_threshold: float | str | dict[str, float] = 0.5
    label_scale: str = "linear"
    learning_rate_schedule: str = "constant"
    weight_decay: float = 0.0
    na_values: Sequence[str] = ()
    na_values_by_column: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    def missing(self, column: str) -> tuple[str, ...]:
        """The texts that mean in a column that a value is missing."""
        return tuple(self.na_values_by_column.get(column, self.na_values))

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TrainingConfig:
        return cls(**json.loads(text))
