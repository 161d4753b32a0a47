"""BatchInference: raw files and a release in, predictions as Parquet out."""

from typing import Any

__all__ = ["BatchInference"]


def __getattr__(name: str) -> Any:
    # The options must not cost an import of TFX.
    if name == "BatchInference":
        from components.batch_inference.component import BatchInference

        return BatchInference
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
