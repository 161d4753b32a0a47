"""What Kubeflow's UI shows of the baseline."""

from __future__ import annotations

from components.artifacts import BASELINE_FILE
from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    methods = made.json("baseline", BASELINE_FILE)["methods"]
    figures = {
        f"{one['name'].replace(' ', '_')}_{metric}": value
        for one in methods
        for metric, value in one["overall"].items()
    }
    return {"baseline_metrics": Shown({**figures, "rows": methods[0]["rows"]})}
