"""Origin: the release whose weights a training begins with, as an artifact."""
