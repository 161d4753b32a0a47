from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class BaselineConfig:
    """What is predicted, and from what.

    Attributes:
        task: by name.
        task_options: what workload.yaml says under that name.
        positive_class: of two classes; empty: the last of the domain.
        query: the column whose rows are judged together; empty without one.
        leave_out: columns that say to which split or query a row belongs; they are not learnt from.
    """

    task: str
    label: str
    positive_class: str = ""
    query: str = ""
    leave_out: tuple[str, ...] = ()
    task_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
