"""What a cluster has: its site (kubeflow.yaml) and its pools (pools.yaml)."""
