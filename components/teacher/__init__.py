"""Teacher: the release that a model learns from, as an artifact."""
