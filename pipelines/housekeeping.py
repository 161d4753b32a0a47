"""Retention: which runs, artifacts, metadata and releases are old, and their deletion.

Imports neither TFX nor TensorFlow. A workload that is being run is skipped; a sweep that is killed can be repeated.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import pathlib
import shutil
from collections.abc import Collection, Iterable

from components.sizes import content_size
from model_store import ModelStore, StoreError
from pipelines.metadata import deleting
from pipelines.runners import run_lock
from spec import home
from spec.errors import InputError
from spec.run_ids import started_at
from spec.words import one_line
from storage import Busy

ACTOR = "housekeeping"
_DELETING = ".deleting-"


@dataclasses.dataclass(frozen=True)
class Limits:
    """What is kept: the newest `runs` and `releases` whatever their age, and everything younger than `days`.

    The defaults are those of the command and of the DAG.
    """

    runs: int = 20
    releases: int = 10
    days: float = 30

    @property
    def since(self) -> datetime.datetime:
        """Everything younger than this is kept."""
        return datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=self.days)


@dataclasses.dataclass(frozen=True)
class Item:
    """Something to delete.

    Attributes:
        kind: run, artifact, evidence, release, leftover, compiled, log or rows.
        name: how people refer to it.
    """

    kind: str
    name: str
    path: str
    bytes: int


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


def places() -> list[str]:
    """The workloads that have runs or artifacts on this machine, and `<workload>.predict`."""
    found = {
        folder.name for root in ("runs", "pipelines") for folder in (home.home() / root).glob("*") if folder.is_dir()
    }
    return sorted(found)


def find_old(place: str, limits: Limits, needed: Iterable[str] = ()) -> list[Item]:
    """A place's old runs, artifacts and evidence.

    Args:
        place: a workload, or `<workload>.predict`.
        needed: further runs to keep: those of the releases that are kept.
    """
    old = old_runs(place, limits, needed)
    root, runs = home.pipeline_root(place), home.runs_root(place)
    items = [_item("run", f"{place} {run}", runs / run) for run in old if (runs / run).is_dir()]
    items += [_item("leftover", f"{place} {f.name}", f) for f in runs.glob(f"{_DELETING}*")]
    items += [
        _item("evidence", f"{place} {run}", root / "_gates" / run) for run in old if (root / "_gates" / run).is_dir()
    ]
    found = deleting.find(root, old)
    for folder in sorted({pathlib.Path(uri) for uri in found.artifacts.values() if "://" not in uri}) if found else []:
        if folder.is_relative_to(root) and folder.is_dir():
            items.append(_item("artifact", folder.relative_to(root).as_posix(), folder))
    return items


def clean_place(place: str, limits: Limits, needed: Iterable[str] = ()) -> list[Item]:
    """Deletes what `find_old` finds, under the lock that every run of the place holds.

    A kill at any point does no harm: first the mark in the metadata, then the files, then the metadata's rows, the runs last.

    Raises:
        Busy: a run is under way.
    """
    root, runs = home.pipeline_root(place), home.runs_root(place)
    with run_lock.exclusive(root / ".lock", f"housekeeping of {place}", 0, lambda message: None):
        old = old_runs(place, limits, needed)
        items = find_old(place, limits, needed)
        if found := deleting.find(root, old):
            deleting.mark_deleted(root, found)
        for item in items:
            if item.kind != "run":
                shutil.rmtree(item.path, ignore_errors=True)
        if found:
            deleting.forget(root, found)
        for run in old:
            # A run's folder disappears at once.
            with contextlib.suppress(FileNotFoundError):
                aside = (runs / run).rename(runs / f"{_DELETING}{run}")
                shutil.rmtree(aside, ignore_errors=True)
        return items


def old_runs(place: str, limits: Limits, needed: Iterable[str] = ()) -> list[str]:
    """The runs that are neither among the newest, nor young, nor needed by one that is kept."""
    runs = home.runs_root(place)
    known = {folder.name for folder in runs.glob("*") if folder.is_dir()}
    known |= set(deleting.run_ids(home.pipeline_root(place)))
    began = {run: at for run in sorted(known, reverse=True) if (at := started_at(run))}
    stay = {run for n, (run, at) in enumerate(began.items()) if n < limits.runs or at > limits.since} | set(needed)
    # A run that found nothing changed refers to an earlier run's outputs and reports.
    ahead = list(stay)
    while ahead:
        if (before := _same_as(runs / ahead.pop())) and before not in stay:
            stay.add(before)
            ahead.append(before)
    return [run for run in began if run not in stay]


def _same_as(folder: pathlib.Path) -> str | None:
    try:
        return json.loads((folder / "run.json").read_text()).get("same_as") or None
    except (OSError, ValueError, AttributeError):
        return None


def _item(kind: str, name: str, path: pathlib.Path) -> Item:
    return Item(kind, name, str(path), content_size(str(path))[1])


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
