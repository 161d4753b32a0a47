from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Pusher",
    title="Release",
    reported={"pushed_model": "pushed_model"},
    run_parameter="workload",
    shows={"release": ArtifactType.MODEL},
    shown_by="components.pusher.shown:shown",
)
