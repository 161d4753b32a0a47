"""Airflow DAGs, built from workload.yaml. Imports neither TensorFlow, TFX, Great Expectations nor kfp."""
