from spec.nodes import ArtifactType, GateRecord, Page

RECORD = GateRecord(
    id="DataQuality",
    title="Data quality",
    reported={"data_quality": "data_quality"},
    result="data_quality",
    asks="Do the expectations of `expectations.json` hold (Great Expectations)?",
    task="check_quality",
    remedy="Mend the rows at their source and deliver the span again. If the contract is wrong, change "
    "schemas/{name}/expectations.json and have its owner review it.",
    reads_data=True,
    page=Page(name="data_quality", output="data_quality", file="data_docs/index.html"),
    section="quality",
    shows={"data_quality_report": ArtifactType.HTML, "data_quality_checks": ArtifactType.METRICS},
    shown_by="components.data_quality.shown:shown",
)
