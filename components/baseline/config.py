from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class BaselineConfig:
    """What is predicted, from what, and by which methods.

    Attributes:
        task: by name.
        task_options: what workload.yaml says under that name.
        methods: as `evaluation.baseline` names them.
        label: its column; empty without one.
        positive_class: of two classes; empty: the last of the domain.
        query: the column whose rows are judged together; empty without one.
        judge: the release that judges, as `evaluation.judge` names it; empty without one.
        leave_out: columns that say to which split or query a row belongs; gradient boosting does not learn from them.
        personal_features: personal columns that may be learnt from all the same.
        module_file: the workload's baseline.py; empty where no method is its own.
        module_digest: of that file's folder.
    """

    task: str
    methods: tuple[str, ...]
    label: str = ""
    positive_class: str = ""
    query: str = ""
    judge: str = ""
    leave_out: tuple[str, ...] = ()
    personal_features: tuple[str, ...] = ()
    module_file: str = ""
    module_digest: str = ""
    task_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
