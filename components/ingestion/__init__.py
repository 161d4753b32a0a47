"""ColumnarExampleGen: files of a span in, Examples as Parquet out."""

from components.ingestion._config import IngestionConfig
from components.ingestion._reading import NA_VALUES, PLAIN, Reading

__all__ = ["NA_VALUES", "PLAIN", "IngestionConfig", "Reading"]
