from spec.nodes import ArtifactType, GateRecord

RECORD = GateRecord(
    id="Evaluator",
    title="Evaluation",
    reported={"evaluation": "evaluation", "blessing": "model_blessing"},
    result="evaluation",
    asks="Does the model keep to its thresholds, and is it no worse than the champion?",
    blessing="blessing",
    section="evaluation",
    shows={"evaluation_metrics": ArtifactType.METRICS, "classification_metrics": ArtifactType.CLASSIFICATION},
    shown_by="components.evaluator.shown:shown",
)
