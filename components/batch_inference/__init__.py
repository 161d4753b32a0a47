"""BatchInference: raw files and a release in, predictions as Parquet out."""

from components.batch_inference._config import BatchInferenceConfig

__all__ = ["BatchInferenceConfig"]
