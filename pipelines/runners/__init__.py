"""Where a pipeline runs: in this process (local), on Kubeflow Pipelines (kubeflow)."""
