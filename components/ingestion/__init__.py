"""ColumnarExampleGen: files of a span in, Examples as Parquet out."""

from components.ingestion._config import IngestionConfig
from components.ingestion.component import ColumnarExampleGen

__all__ = ["ColumnarExampleGen", "IngestionConfig"]
