"""Deleting what was found. After a kill at any point the same command finishes the job: the workload's folder goes last."""

from __future__ import annotations

import contextlib
import pathlib
import shutil

from model_store import ModelStore
from pipelines.metadata import deleting
from pipelines.removal._finding import Found
from pipelines.runners import run_lock
from quality.history import History
from spec import home

_DECLARATION = ("test", "schemas", "workload")


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
