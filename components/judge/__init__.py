"""Judge: the release that judges what a model makes, as an artifact."""
