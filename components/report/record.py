from spec.nodes import ArtifactType, NodeRecord, Page

RECORD = NodeRecord(
    id="Report",
    title="Report",
    page=Page(name="run", output="report", file="index.html"),
    run_parameter="workload",
    shows={"run_report": ArtifactType.HTML, "model_card": ArtifactType.HTML},
    shown_by="components.report.shown:shown",
)
