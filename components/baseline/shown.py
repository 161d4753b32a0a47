"""What Kubeflow's UI shows of the baseline."""

from __future__ import annotations

from components.artifacts import BASELINE_FILE
from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    found = made.json("baseline", BASELINE_FILE)
    return {"baseline_metrics": Shown({**found["overall"], "rows": found["rows"], "train_rows": found["train_rows"]})}
