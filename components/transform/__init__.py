"""Transform: TFT analysis and materialisation on RecordBatches."""
