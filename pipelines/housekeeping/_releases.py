"""Releases: the newest are kept, and those that a label or a rollback needs."""

from __future__ import annotations

import datetime

from model_store import ModelStore, StoreError
from pipelines.housekeeping._items import Item, Limits

ACTOR = "housekeeping"


def old_releases(store: ModelStore, model: str, limits: Limits) -> list[Item]:
    """The releases of a model that are neither among the newest, nor young, nor labelled, nor the one to roll back to.

    A damaged one is kept as evidence.
    """
    versions = store.versions(model)
    needed = {*store.labels(model).values(), *versions[-limits.releases :]}
    if (before := store.stable_before(model)) is not None:
        needed.add(before)
    items = []
    for version in versions:
        if version in needed:
            continue
        try:
            release = store.release(model, version)
        except StoreError:
            continue
        if datetime.datetime.fromisoformat(release.created_at) <= limits.since:
            size = sum(int(file["bytes"]) for file in release.files.values())
            items.append(Item("release", f"{model} {version}", release.uri, size))
    return items


def delete_releases(store: ModelStore, model: str, items: list[Item], limits: Limits) -> None:
    """Deletes releases; the store itself refuses one that has been labelled meanwhile."""
    reason = f"older than {limits.days:g} days and not among the newest {limits.releases}"
    for item in items:
        store.delete(model, int(item.name.rpartition(" ")[2]), reason=reason, actor=ACTOR)
