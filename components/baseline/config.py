from __future__ import annotations

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class BaselineConfig:
    """What is predicted, and from what.

    Attributes:
        task: binary, multiclass, regression or ranking.
        label: the label's column.
        positive_class: binary only; empty: the last of the domain.
        query: ranking only: the column whose rows are ranked against each other.
        leave_out: columns that say to which split or query a row belongs; they are not learnt from.
    """

    task: str
    label: str
    positive_class: str = ""
    query: str = ""
    leave_out: tuple[str, ...] = ()

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> BaselineConfig:
        raw = json.loads(text)
        return cls(**{**raw, "leave_out": tuple(raw["leave_out"])})
