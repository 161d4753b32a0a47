"""One self-contained HTML page per run (what came in, what was checked, trained and decided, and why), and a model card."""

from components.report.card import render_card
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
    "render_card",
    "render_failure",
    "render_gate",
    "render_run",
]
