from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="Tuner",
    title="Search for hyper-parameters",
    reported={"best_hyperparameters": "best_hyperparameters"},
    remedy="Look at training.search in pipelines/workloads/{name}/workload.yaml and at the log of the run.",
    run_parameter="training",
    shows={"search_metrics": ArtifactType.METRICS},
    shown_by="components.tuner.shown:shown",
)
