from spec.nodes import ArtifactType, GateRecord

RECORD = GateRecord(
    id="RowCount",
    title="Enough rows",
    reported={"row_count": "row_count"},
    result="row_count",
    asks="Does the span have rows enough to train on?",
    task="check_rows",
    remedy="Wait for more data, or lower the bar of {name}.",
    reads_data=True,
    section="rows",
    shows={"row_checks": ArtifactType.METRICS},
)
