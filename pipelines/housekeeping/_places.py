"""Runs and artifacts: one place per workload, and one for its batch predictions."""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
from collections.abc import Iterable

from components.sizes import content_size
from pipelines.housekeeping._items import Item, Limits
from pipelines.metadata import deleting
from pipelines.runners import run_lock
from spec import home
from spec.run_ids import started_at

_DELETING = ".deleting-"


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
    for uri in sorted(set(found.artifacts.values())) if found else []:
        if _is_inside(uri, root) and pathlib.Path(uri).is_dir():
            items.append(_item("artifact", pathlib.Path(uri).relative_to(root).as_posix(), pathlib.Path(uri)))
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


def _is_inside(uri: str, root: pathlib.Path) -> bool:
    return "://" not in uri and pathlib.Path(uri).is_relative_to(root)
