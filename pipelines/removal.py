"""`trainyard remove`: a workload and everything that was made from it on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import shutil

from components.sizes import content_size
from model_store import ModelStore
from pipelines.metadata import deleting
from pipelines.runners import run_lock
from quality.history import History, HistoryError, is_there
from spec import home
from spec.errors import InputError
from spec.workload import workload_names

SHIPPED = frozenset(
    {
        "autoencoder",
        "cifar10",
        "digits",
        "digits_gan",
        "flowers",
        "graph_recommender",
        "image_search",
        "mnist",
        "mnist_small",
        "place_recommender",
        "recommender",
        "segmentation",
        "sentiment",
        "social_recommender",
        "spam",
        "taxi",
    }
)
"""Part of Trainyard itself."""
_DECLARATION = ("test", "schemas", "workload")
"""Deleted last: after a kill at any point the same command finishes the job."""


@dataclasses.dataclass(frozen=True)
class Found:
    """What removing the workload would delete.

    Attributes:
        folders: what it is -> path; only those that exist.
        runs: its runs' ids, including those of batch predictions.
        releases: versions in the model store.
        validations: how many the history of data quality has; None: it cannot be read.
    """

    workload: str
    folders: dict[str, pathlib.Path]
    runs: tuple[str, ...]
    releases: tuple[int, ...]
    labels: dict[str, int]
    validations: int | None

    @property
    def lines(self) -> list[str]:
        """One line per item, for people."""
        lines = []
        for what, path in self.folders.items():
            size = content_size(str(path))[1] if path.is_dir() else path.stat().st_size
            lines.append(f"{what:11} {path} ({_bytes(size)})")
        if self.runs:
            lines.append(f"{'metadata':11} of {len(self.runs)} runs")
        if self.releases:
            lines.append(f"{'releases':11} {', '.join(map(str, self.releases))} in {home.store_uri()}")
        if self.validations:
            lines.append(f"{'history':11} {self.validations} validations of its data, and its releases")
        return lines

    @property
    def warnings(self) -> list[str]:
        """What a person should know before saying yes."""
        told = [f"release {version} is {label}: whoever serves it loses it" for label, version in self.labels.items()]
        if self.validations is None:
            told.append("the history of data quality cannot be read; its rows stay")
        return told


def find(name: str) -> Found:
    """Finds what exists of a workload on this machine, in the model store and in the history.

    Raises:
        InputError: it comes with Trainyard, or there is nothing of that name.
    """
    if name in SHIPPED and (_is_at_home() or not (home.workloads_root() / name).is_dir()):
        raise InputError(
            f"{name}: comes with Trainyard and is not removed. `trainyard housekeeping` deletes its old runs."
        )
    known = workload_names(home.workloads_root())
    store = ModelStore(home.store_uri())
    has_releases = store.exists() and name in store.models()
    folders = {what: path for what, path in _places(name).items() if path.exists() and not _is_shipped(name, path)}
    # A name that could lead out of these folders is not a workload's.
    if not name.isidentifier() or not (folders or has_releases):
        raise InputError(f"there is no workload {name!r} on this machine. Known: {', '.join(known) or 'none'}.")
    places = (name, f"{name}.predict")
    runs = [folder.name for place in places for folder in home.runs_root(place).glob("*") if folder.is_dir()]
    return Found(
        name,
        folders,
        tuple(sorted(runs)),
        tuple(store.versions(name)) if has_releases else (),
        store.labels(name) if has_releases else {},
        _validations(name),
    )


def _is_at_home() -> bool:
    return home.workloads_root() == (home.ROOT / "pipelines" / "workloads").absolute()


def _is_shipped(name: str, path: pathlib.Path) -> bool:
    """Whether a folder is Trainyard's own, though a workload elsewhere has the same name."""
    ours = [home.ROOT / "schemas", home.ROOT / "tests", home.ROOT / "pipelines" / "workloads"]
    return name in SHIPPED and any(path.is_relative_to(folder) for folder in ours)


def _places(name: str) -> dict[str, pathlib.Path]:
    tests = {"test": home.ROOT / "tests" / "workloads" / f"test_{name}.py"} if _is_at_home() else {}
    return {
        "workload": home.workloads_root() / name,
        "schemas": home.schemas_root() / name,
        **tests,
        "data": home.data_root() / name,
        "runs": home.runs_root(name),
        "predictions": home.runs_root(f"{name}.predict"),
        "artifacts": home.pipeline_root(name),
        "predicting": home.pipeline_root(f"{name}.predict"),
    }


def _validations(name: str) -> int | None:
    if not is_there():
        return 0
    try:
        with History.open() as history:
            return history.count([name])
    except HistoryError:
        return None


def _bytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size = round(size / 1000)
    return f"{size:,} GB"


def remove(found: Found) -> None:
    """Deletes everything, holding the locks that runs take.

    Raises:
        Busy: a run is under way; nothing is deleted.
        StoreError: the model store refuses or does not answer.
        OSError: a folder cannot be deleted.
    """
    name = found.workload
    with contextlib.ExitStack() as locks:
        for place in (name, f"{name}.predict"):
            if (root := home.pipeline_root(place)).is_dir():
                locks.enter_context(run_lock.exclusive(root / ".lock", f"removal of {name}", 0, lambda message: None))
        if found.releases or found.labels:
            ModelStore(home.store_uri()).remove(name)
        if found.validations:
            with History.open() as history:
                history.forget(name)
        _forget_metadata(found)
        for what in [one for one in found.folders if one not in _DECLARATION] + [*_DECLARATION]:
            if (path := found.folders.get(what)) is not None:
                _delete(path)


def _forget_metadata(found: Found) -> None:
    """Only in a database that several workloads share; a SQLite file is deleted with the artifacts beside it."""
    root = home.pipeline_root(found.workload)
    if not (deleting.is_shared() and found.runs and (old := deleting.find(root, found.runs))):
        return
    deleting.mark_deleted(root, old)
    deleting.forget(root, old)


def _delete(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
