"""On Kubeflow Pipelines: TFX's graph compiled to one container task a node, and the program that runs a node."""
