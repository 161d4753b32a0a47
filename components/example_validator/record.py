from spec.nodes import ArtifactType, Gate, NodeRecord

RECORD = NodeRecord(
    id="ExampleValidator",
    title="Schema",
    reported={"anomalies": "anomalies"},
    gate=Gate(
        output="anomalies",
        asks="Are the columns, types and values those that `schema.pbtxt` allows?",
        task="check_schema",
    ),
    remedy="Mend the columns at their source and deliver the span again. If the change is meant, change "
    "schemas/{name}/schema.pbtxt and have its owner review it.",
    reads_data=True,
    section="schema",
    shows={"schema_checks": ArtifactType.METRICS},
)
