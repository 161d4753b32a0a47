"""BatchInference: raw files and a release in, predictions as Parquet out."""
