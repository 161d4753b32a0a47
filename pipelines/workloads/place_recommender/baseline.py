"""Methods beside the filter. EASE is not among them: of 40,981 places it would weigh 1.7 billion pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from components.tasks import collaborative


def popularity(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Where most users of train were, for everybody."""
    return collaborative.lists(train, test, task, "user", collaborative.popularity)


def graph_filter(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Where users of the same places were: two steps along the graph."""
    return collaborative.lists(train, test, task, "user", collaborative.graph_filter)
