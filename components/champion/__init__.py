"""ChampionResolver: the model store's stable release as an artifact."""

from components.champion.artifact import CHAMPION_VERSION, champion_version
from components.champion.component import ChampionResolver

__all__ = ["CHAMPION_VERSION", "ChampionResolver", "champion_version"]
