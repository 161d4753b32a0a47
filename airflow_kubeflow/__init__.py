"""An Airflow provider for Kubeflow Pipelines v2: operator, trigger, sensor, hook and connection type."""
