"""Tasks that run pipelines."""
