"""An Airflow provider for Kubeflow Pipelines v2: operator, trigger, sensor, hook and connection type."""

__version__ = "0.1.0"
