from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(id="SchemaImporter", title="Contract", shows={"schema": ArtifactType.ARTIFACT})
