"""What a run's gates found, in the form that Airflow's tasks and JSON readers show."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from components.gates import GateResult, evidence_directory

_FILE = "gate.json"
_REPORT = pathlib.Path("data_docs", "index.html")
_MOST_FINDINGS = 20
# Node -> channel that holds its gate.json.
_GATES = {
    "ExampleValidator": "anomalies",
    "DataQuality": "data_quality",
    "DriftDetector": "drift",
    "Evaluator": "evaluation",
    "InfraValidator": "blessing",
}


def gates_of(outputs: Mapping[str, Mapping[str, Any]], pipeline_root: str, run_id: str) -> list[dict[str, Any]]:
    """The gates that have run, in the graph's order.

    Returns:
        Of each: `gate` (the node), `passes`, `summary` in one line, `counts` (see `GateResult.counts`), `findings` (checks
        that do not pass: `severity`, `verdict` and `message`), and `report`, a page to read, where there is one.
    """
    found = []
    for node, channel in _GATES.items():
        # A gate that stopped the run has no outputs any more; it left its evidence.
        folder = evidence_directory(pipeline_root, run_id, node)
        if node in outputs:
            folder = pathlib.Path(outputs[node][channel][0].uri)
        if (folder / _FILE).is_file():
            found.append(_shown(node, folder))
    return found


def _shown(node: str, folder: pathlib.Path) -> dict[str, Any]:
    result = GateResult.from_json((folder / _FILE).read_text())
    return {
        "gate": node,
        "passes": result.passes,
        "summary": result.summary(),
        "counts": result.counts(),
        "findings": [
            {"severity": str(check.severity), "verdict": str(check.verdict), "message": check.words}
            for check in result.objections()[:_MOST_FINDINGS]
        ],
        "report": str(folder / _REPORT) if (folder / _REPORT).is_file() else None,
    }
