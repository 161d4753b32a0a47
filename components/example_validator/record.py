from spec.nodes import ArtifactType, GateRecord

RECORD = GateRecord(
    id="ExampleValidator",
    title="Schema",
    reported={"anomalies": "anomalies"},
    result="anomalies",
    asks="Are the columns, types and values those that `schema.pbtxt` allows?",
    task="check_schema",
    remedy="Mend the columns at their source and deliver the span again. If the change is meant, change "
    "schemas/{name}/schema.pbtxt and have its owner review it.",
    reads_data=True,
    section="schema",
    shows={"schema_checks": ArtifactType.METRICS},
)
