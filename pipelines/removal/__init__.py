"""`trainyard remove`: a workload and everything that was made from it on this machine."""

from pipelines.removal._finding import Found, find
from pipelines.removal._removing import remove

__all__ = ["Found", "find", "remove"]
