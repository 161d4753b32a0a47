from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Teacher",
    title="Teacher",
    reported={"model": "teacher"},
    remedy="Release the model that training.teacher names, or name another.",
    shows={"model": ArtifactType.MODEL},
)
