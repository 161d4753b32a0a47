"""ColumnarExampleGen: files of a span in, Examples as Parquet out."""

from typing import Any

from components.ingestion._config import IngestionConfig
from components.ingestion._reading import NA_VALUES, PLAIN, Reading

__all__ = ["NA_VALUES", "PLAIN", "ColumnarExampleGen", "IngestionConfig", "Reading"]


def __getattr__(name: str) -> Any:
    # Finding spans (components.ingestion.sources) must not cost an import of TFX.
    if name == "ColumnarExampleGen":
        from components.ingestion.component import ColumnarExampleGen

        return ColumnarExampleGen
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
