from spec.nodes import ArtifactType, NodeRecord

RECORD = NodeRecord(
    id="ChampionResolver",
    title="Champion",
    reported={"champion": "champion"},
    shows={"champion": ArtifactType.MODEL},
    shown_by="components.champion.shown:shown",
)
