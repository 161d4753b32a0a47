"""ReleaseImporter: a release of the model store as an artifact."""
