"""What Kubeflow's UI shows of the report."""

from __future__ import annotations

from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    where = {"location": made.uri("report")}
    return {
        "run_report": Shown(where, made.text("report", "index.html")),
        "model_card": Shown(where, made.text("report", "model_card.html")),
    }
