from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Trainer",
    title="Training",
    reported={"model": "model", "model_run": "model_run"},
    remedy="Look at pipelines/workloads/{name}/model.py and at the log of the run.",
    run_parameter="training",
    shows={"trained_model": ArtifactType.MODEL, "training_metrics": ArtifactType.METRICS},
    shown_by="components.trainer.shown:shown",
)
