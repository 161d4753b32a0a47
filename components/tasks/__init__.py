"""What models predict, a class each: to add a task, read one (docs/guides/add-a-task.md).

Airflow imports these modules to check workload.yaml and has no NumPy: everything heavy is imported by `lazily`.
"""

from components.tasks._base import DRAWN, Embed, Task, find
from components.tasks._classes import ClassTask
from components.tasks._columns import class_indices, query_keys
from components.tasks._context import Context, Predict, Read, Tensors
from components.tasks._drafts import Draft, LabelColumn, Unlabelled, at_least, draft_classes
from components.tasks._gallery import Gallery, Marked, ShownRows, Tile, words_of
from components.tasks._judged import Conviction
from components.tasks._lazily import lazily
from components.tasks._numbers import NumberTask
from components.tasks._schema import Feature, ModelSchema
from components.tasks._scores import ScoreCounts
from components.tasks._signatures import Signature
from components.tasks._sums import MergeableSums, UnitTerms, Values, divide, ratio
from components.tasks._views import View

__all__ = [
    "DRAWN",
    "ClassTask",
    "Context",
    "Conviction",
    "Draft",
    "Embed",
    "Feature",
    "Gallery",
    "LabelColumn",
    "Marked",
    "MergeableSums",
    "ModelSchema",
    "NumberTask",
    "Predict",
    "Read",
    "ScoreCounts",
    "ShownRows",
    "Signature",
    "Task",
    "Tensors",
    "Tile",
    "UnitTerms",
    "Unlabelled",
    "Values",
    "View",
    "at_least",
    "class_indices",
    "divide",
    "draft_classes",
    "find",
    "lazily",
    "query_keys",
    "ratio",
    "words_of",
]
