"""Retention: which runs, artifacts, metadata and releases are old, and their deletion.

Imports neither TFX nor TensorFlow. A workload that is being run is skipped; a sweep that is killed can be repeated.
"""

from pipelines.housekeeping._items import Item, Limits
from pipelines.housekeeping._sweep import Swept, sweep

__all__ = ["Item", "Limits", "Swept", "sweep"]
