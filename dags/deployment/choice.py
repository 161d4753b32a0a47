"""Which release a run deploys or goes back to, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dags.deployment.errors import DeploymentRefused
from dags.deployment.target import STABLE, open_store
from dags.skips import skipped

DEPLOY, ROLLBACK = "deploy", "rollback"


def choose_release(model: str, params: Mapping[str, Any], triggering: Mapping[Any, Iterable[Any]]) -> dict[str, Any]:
    """The release to deploy or to go back to.

    Args:
        params: of the run: `version`, `action` (deploy or rollback) and `force`.
        triggering: the run's asset events.

    Returns:
        {"action": deploy or rollback, "version": n, "previous": the stable version or None,
        "despite": why it would be refused without `force`, else ""}

    Raises:
        DeploymentRefused: there is no such release, or it was rolled back before.
        AirflowSkipException: it, or a newer one, is already stable.
    """
    store = open_store()
    known = store.versions(model)
    previous = store.labels(model).get(STABLE)
    asked, action = params.get("version"), params.get("action") or DEPLOY
    if action == ROLLBACK and asked is None:
        asked = _before(model, previous)
    released = [
        int(e.extra["version"]) for events in triggering.values() for e in events if (e.extra or {}).get("version")
    ]
    version = asked or max(released, default=None) or max(known, default=None)
    if version is None or version not in known:
        raise DeploymentRefused(f"{model}: there is no release {version or ''}. Known: {known or 'none'}")
    if previous == version:
        raise skipped(f"{model}/{version} is the stable release already")
    if asked is None and previous is not None and previous > version:
        raise skipped(f"{model}/{version} is older than the stable release {previous}; deploy it by hand")
    despite = _rolled_back(model, version)
    if despite and not params.get("force"):
        raise DeploymentRefused(f"{despite} Trigger with force: true if you know better; the history will say so.")
    return {"action": action, "version": version, "previous": previous, "despite": despite}


def _before(model: str, stable: int | None) -> int:
    store = open_store()
    before = store.stable_before(model)
    if before is None:
        raise DeploymentRefused(
            f"{model}: there is no stable release before {stable or 'the first'} to go back to. "
            f"Name one: version. Known: {store.versions(model) or 'none'}"
        )
    return before


def _rolled_back(model: str, version: int) -> str:
    entry = open_store().rolled_back(model, version)
    if entry is None:
        return ""
    return f"{model}/{version} was rolled back before, {entry.at[:19]} by {entry.actor}: {entry.reason}."
