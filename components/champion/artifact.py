"""What a champion artifact says about itself."""

from __future__ import annotations

from tfx.types import artifact

CHAMPION_VERSION = "champion_version"


def champion_version(champion: artifact.Artifact) -> int:
    """The release that the artifact is a copy of; 0 where there was no stable release."""
    return int(champion.get_int_custom_property(CHAMPION_VERSION))
