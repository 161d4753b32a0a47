"""StatisticsGen: TFDV statistics of every split, by RecordBatches."""

from components.statistics.component import StatisticsGen

__all__ = ["StatisticsGen"]
