from spec.nodes import ArtifactType, GateRecord

RECORD = GateRecord(
    id="DriftDetector",
    title="Drift",
    reported={"drift": "drift"},
    result="drift",
    asks="Has a column moved further from the span before than `quality.drift` allows?",
    task="check_drift",
    remedy="Find out what changed at the source. If the new data is right, raise the limit or allow the column to move in "
    "pipelines/workloads/{name}/workload.yaml, quality.drift.",
    reads_data=True,
    section="drift",
    shows={"drift_checks": ArtifactType.METRICS},
)
