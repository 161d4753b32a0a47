"""ColumnarExampleGen: files of a span in, Examples as Parquet out."""
