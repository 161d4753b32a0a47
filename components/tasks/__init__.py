"""What models predict, a class each: to add a task, read one (docs/guides/add-a-task.md).

Airflow imports these modules to check workload.yaml and has no NumPy: everything heavy is imported by `lazily`.
"""

from components.tasks._base import Task, find
from components.tasks._columns import class_indices, query_keys
from components.tasks._lazily import lazily
from components.tasks._sums import MergeableSums, ScoreCounts, UnitTerms, Values, divide, ratio

__all__ = [
    "MergeableSums",
    "ScoreCounts",
    "Task",
    "UnitTerms",
    "Values",
    "class_indices",
    "divide",
    "find",
    "lazily",
    "query_keys",
    "ratio",
]
