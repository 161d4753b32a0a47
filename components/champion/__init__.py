"""ChampionResolver: the model store's stable release as an artifact."""
