from __future__ import annotations


class DeploymentRefused(Exception):
    """The release must not be deployed; trying again cannot help."""
