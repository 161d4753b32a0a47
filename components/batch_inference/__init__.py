"""BatchInference: raw files and a release in, predictions as Parquet out."""

from typing import Any

from components.batch_inference._config import BatchInferenceConfig

__all__ = ["BatchInference", "BatchInferenceConfig"]


def __getattr__(name: str) -> Any:
    # The options must not cost an import of TFX.
    if name == "BatchInference":
        from components.batch_inference.component import BatchInference

        return BatchInference
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
