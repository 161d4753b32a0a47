from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Judge",
    title="Judge",
    reported={"model": "judge"},
    remedy="Release the model that evaluation.judge names, or name another.",
    shows={"model": ArtifactType.MODEL},
)
