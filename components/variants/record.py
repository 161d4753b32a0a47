from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Variants",
    title="Compressed variants",
    reported={"variants": "variants"},
    remedy="Look at export.variants in pipelines/workloads/{name}/workload.yaml and at the log of the run.",
    run_parameter="training",
    shows={"variants": ArtifactType.ARTIFACT},
)
