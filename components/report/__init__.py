"""One self-contained HTML page per run: what came in, what was checked, what was trained, what was decided and why."""

from components.report.collect import artifact_facts, collect, collect_failure
from components.report.facts import ArtifactFacts, ColumnFacts, ColumnStatistics, ComponentFacts, DatasetFacts, RunFacts
from components.report.render import render_failure, render_gate, render_run

__all__ = [
    "ArtifactFacts",
    "ColumnFacts",
    "ColumnStatistics",
    "ComponentFacts",
    "DatasetFacts",
    "RunFacts",
    "artifact_facts",
    "collect",
    "collect_failure",
    "render_failure",
    "render_gate",
    "render_run",
]
