from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="StatisticsGen",
    title="Statistics",
    reported={"statistics": "statistics"},
    reads_data=True,
    shows={"statistics": ArtifactType.ARTIFACT},
)
