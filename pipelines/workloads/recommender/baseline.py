"""Methods beside the towers. They know users by what they watched alone: a new one is answered what is most frequent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from components.tasks import collaborative


def popularity(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """What most users of train watched, for everybody."""
    return collaborative.lists(train, test, task, "user", collaborative.popularity)


def ease(train: pa.Table, test: pa.Table, task: Any) -> np.ndarray:
    """Each film regressed on all others (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data")."""
    return collaborative.lists(train, test, task, "user", lambda links: collaborative.ease(links, ridge=300.0))
