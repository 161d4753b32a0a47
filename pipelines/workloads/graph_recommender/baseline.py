"""Methods that learn nothing step by step. On this data they are hard to beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from components.tasks import collaborative


def popularity(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """What most users of train have, for everybody."""
    return collaborative.lists(train, test, task, "user", collaborative.popularity)


def graph_filter(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """What users of the same items have: two of LightGCN's steps along the graph, with nothing learnt."""
    return collaborative.lists(train, test, task, "user", collaborative.graph_filter)


def ease(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Each item regressed on all others (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data")."""
    return collaborative.lists(train, test, task, "user", lambda links: collaborative.ease(links, ridge=50.0))
