"""What Prometheus reads of the server."""

from serving.metrics._metrics import CONTENT_TYPE, Metrics

__all__ = ["CONTENT_TYPE", "Metrics"]
