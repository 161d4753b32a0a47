from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Transform",
    title="Features",
    reported={"transform_graph": "transform_graph"},
    remedy="Look at pipelines/workloads/{name}/features.py and at the log of the run.",
    shows={"transform_graph": ArtifactType.ARTIFACT, "transformed_examples": ArtifactType.DATASET},
)
