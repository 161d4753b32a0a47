from __future__ import annotations

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How to fit.

    Attributes:
        task: binary, multiclass, regression or ranking.
        label: the label's column.
        positive_class: binary only; empty: the last of the domain.
        epochs: passes over the train split.
        batch_size: rows a step.
        early_stopping_patience: epochs without a lower eval loss before training stops; None: never.
        seed: for weights, shuffling and augmentation.
        hyperparameters: for build_model; `learning_rate` is the optimizer's too.
    """

    task: str
    label: str
    positive_class: str = ""
    epochs: int = 10
    batch_size: int = 256
    early_stopping_patience: int | None = 3
    seed: int = 1
    hyperparameters: dict[str, float | int | str | bool] = dataclasses.field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> TrainingConfig:
        return cls(**json.loads(text))
