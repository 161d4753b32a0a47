from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="ColumnarExampleGen",
    title="Ingestion",
    reported={"examples": "examples"},
    reads_data=True,
    run_parameter="span",
    shows={"examples": ArtifactType.DATASET},
    shown_by="components.ingestion.shown:shown",
)
