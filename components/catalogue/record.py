from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Catalogue",
    title="Catalogue",
    reported={"catalogue": "catalogue"},
    remedy="Look at task_options in pipelines/workloads/{name}/workload.yaml: which column is the item?",
    shows={"catalogue": ArtifactType.DATASET},
)
