from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Origin",
    title="Start of training",
    reported={"model": "origin"},
    remedy="Release the model that training.start_from names, or name another.",
    shows={"model": ArtifactType.MODEL},
)
