"""Data sets that Trainyard knows how to fetch: real data to start from, laid out span by span in the landing folder.

To add one, write a module with a `DATASET` (the smallest is digits.py) and name it in `_registry.py`.
"""

from pipelines.datasets._dataset import Dataset
from pipelines.datasets._registry import dataset, names, prepare, spans

__all__ = ["Dataset", "dataset", "names", "prepare", "spans"]
