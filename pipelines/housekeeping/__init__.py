"""Retention: which runs, artifacts, metadata and releases are old, and their deletion.

Imports neither TFX nor TensorFlow. A workload that is being run is passed over; what is killed half-way goes on next time.
"""

from pipelines.housekeeping._items import Item, Limits
from pipelines.housekeeping._sweep import Swept, sweep

__all__ = ["Item", "Limits", "Swept", "sweep"]
