"""StatisticsGen: TFDV statistics of every split, by RecordBatches."""
