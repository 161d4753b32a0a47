from spec.nodes import ArtifactType, GateRecord

RECORD = GateRecord(
    id="InfraValidator",
    title="Load and predict",
    reported={"blessing": "infra_blessing"},
    result="blessing",
    asks="Does the exported model load in a process of its own and answer within its limits?",
    blessing="blessing",
    passed="The exported model loaded in a process of its own and answered.",
    refused="The exported model did not pass.",
    section="infra",
    shows={"infra_checks": ArtifactType.METRICS},
    shown_by="components.infra_validator.shown:shown",
)
