"""What Prometheus reads of the server."""

from serving.metrics._metrics import CONTENT_TYPE, Metrics
from serving.metrics._workers import SHARED

__all__ = ["CONTENT_TYPE", "SHARED", "Metrics"]
