"""What Kubeflow's UI shows of DataQuality."""

from __future__ import annotations

from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    key = "data_quality"
    gate = made.gate(key)
    about = {"location": made.uri(key), "verdict": gate.summary()}
    return {
        "data_quality_report": Shown(about, made.text(key, "data_docs/index.html")),
        "data_quality_checks": Shown(gate.counts()),
    }
