"""What Kubeflow's UI shows of the InfraValidator."""

from __future__ import annotations

from components.outputs import Outputs, Shown


def shown(made: Outputs) -> dict[str, Shown]:
    gate = made.gate("blessing")
    measured = {
        name: check.diagnostics.get(name)
        for check in gate.checks
        for name in ("load_seconds", "peak_memory_mb")
        if check.diagnostics.get(name) is not None
    }
    return {"infra_checks": Shown({**gate.counts(), "blessed": gate.passes, **measured})}
