"""ColumnarExampleGen: files of a span in, Examples as Parquet out."""

from typing import Any

__all__ = ["ColumnarExampleGen"]


def __getattr__(name: str) -> Any:
    # Finding spans (components.ingestion.sources) must not cost an import of TFX.
    if name == "ColumnarExampleGen":
        from components.ingestion.component import ColumnarExampleGen

        return ColumnarExampleGen
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
