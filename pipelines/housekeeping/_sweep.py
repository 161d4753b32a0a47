"""The whole sweep: releases first, then the runs that no remaining release needs."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Collection

from model_store import ModelStore, StoreError
from pipelines.housekeeping._items import Item, Limits
from pipelines.housekeeping._places import clean_place, find_old, places
from pipelines.housekeeping._releases import delete_releases, old_releases
from spec import home
from spec.errors import InputError
from spec.words import one_line
from storage import Busy


@dataclasses.dataclass
class Swept:
    """What was found, or deleted.

    Attributes:
        busy: workloads that were skipped because a run is under way.
        damaged: workloads that were skipped because something of theirs is damaged, and why.
    """

    items: list[Item] = dataclasses.field(default_factory=list)
    busy: list[str] = dataclasses.field(default_factory=list)
    damaged: list[str] = dataclasses.field(default_factory=list)


def sweep(limits: Limits, workloads: Collection[str] = (), delete: bool = False) -> Swept:
    """Finds what is old, and deletes it if asked to.

    Raises:
        InputError: there is nothing of such a workload.
    """
    store, found = ModelStore(home.store_uri()), Swept()
    here, models = places(), store.models()
    known = sorted({*models, *(place.removesuffix(".predict") for place in here)})
    if unknown := [name for name in workloads if name not in known]:
        raise InputError(
            f"--workload {unknown[0]}: there are no runs and no releases of it. Known: {', '.join(known) or 'none'}."
        )
    chosen = [name for name in known if not workloads or name in workloads]
    for workload in chosen:
        try:
            of_workload = [place for place in (workload, f"{workload}.predict") if place in here]
            _sweep_workload(store, workload, of_workload, limits, delete, found)
        except (StoreError, OSError) as error:
            # Nobody can tell which releases and runs a damaged model needs: keep all of them.
            found.damaged.append(f"{workload}: {one_line(error)}")
    return found


def _sweep_workload(
    store: ModelStore, workload: str, here: Collection[str], limits: Limits, delete: bool, found: Swept
) -> None:
    old = old_releases(store, workload, limits)
    needed = _runs_of_the_others(store, workload, old)
    if delete:
        delete_releases(store, workload, old, limits)
    found.items += old
    for place in here:
        try:
            found.items += (clean_place if delete else find_old)(place, limits, needed)
        except Busy:
            found.busy.append(place)
    found.items += _compiled(workload, limits, delete)


def _runs_of_the_others(store: ModelStore, model: str, old: Collection[Item]) -> set[str]:
    gone, runs = {item.name for item in old}, set()
    for version in store.versions(model):
        if f"{model} {version}" in gone:
            continue
        try:
            runs.add(store.release(model, version).run_id)
        except StoreError:
            continue  # damaged: nobody can tell its run
    return runs


def _compiled(workload: str, limits: Limits, delete: bool) -> list[Item]:
    """What `retrain_<workload>` compiled for Kubeflow."""
    old: list[Item] = []
    for file in sorted(pathlib.Path(home.home(), "compiled", workload).glob("*.yaml")):
        if file.stat().st_mtime < limits.since.timestamp():
            old.append(Item("compiled", f"{workload} {file.stem}", str(file), file.stat().st_size))
            if delete:
                file.unlink(missing_ok=True)
    return old
