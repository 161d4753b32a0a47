from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Baseline",
    title="Baseline",
    reported={"baseline": "baseline"},
    shows={"baseline_metrics": ArtifactType.METRICS},
    shown_by="components.baseline.shown:shown",
)
