"""ReleaseImporter: a release of the model store as an artifact."""

from components.release_importer.component import ReleaseImporter

__all__ = ["ReleaseImporter"]
