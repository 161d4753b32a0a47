"""What a run's gates found, in the form that Airflow's tasks and JSON readers show."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

from components.gates import GateResult, evidence_directory
from spec import graph
from spec.nodes import NodeRecord

_FILE = "gate.json"
_MOST_FINDINGS = 20


def gates_of(outputs: Mapping[str, Mapping[str, Any]], pipeline_root: str, run_id: str) -> list[dict[str, Any]]:
    """The gates that have run, in the graph's order.

    Returns:
        Of each: `gate` (the node), `passes`, `summary` in one line, `counts` (see `GateResult.counts`), `findings` (checks
        that do not pass: `severity`, `verdict` and `message`), and `report`, a page to read, where there is one.
    """
    found = []
    for record in graph.gates():
        # A gate that stopped the run has no outputs any more; it left its evidence.
        folder = evidence_directory(pipeline_root, run_id, record.id)
        if record.id in outputs:
            folder = pathlib.Path(outputs[record.id][record.result][0].uri)
        if (folder / _FILE).is_file():
            found.append(_shown(record, folder))
    return found


def _shown(record: NodeRecord, folder: pathlib.Path) -> dict[str, Any]:
    result = GateResult.from_json((folder / _FILE).read_text())
    page = folder / record.page.file if record.page else None
    return {
        "gate": record.id,
        "passes": result.passes,
        "summary": result.summary(),
        "counts": result.counts(),
        "findings": [
            {"severity": str(check.severity), "verdict": str(check.verdict), "message": check.words}
            for check in result.objections()[:_MOST_FINDINGS]
        ],
        "report": str(page) if page and page.is_file() else None,
    }
