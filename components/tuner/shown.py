"""What Kubeflow's UI shows of the Tuner."""

from __future__ import annotations

from components.outputs import Outputs, Shown
from components.searched import RECORD_FILE


def shown(made: Outputs) -> dict[str, Shown]:
    record = made.json("best_hyperparameters", RECORD_FILE)
    figures = {record["metric"]: record["value"], "best_trial": record["trial"], "epochs": record["epochs"]["spent"]}
    return {"search_metrics": Shown({**record["values"], **record["counts"], **figures, "seconds": record["seconds"]})}
