from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import shutil
import tempfile
import time
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import border
from components.artifacts import ROWS_IN, Artifacts, measured
from components.columnar import count_rows, split_files
from components.searched import JOURNAL_FILE
from components.trainer.sources import Sources
from components.tuner import machines
from model_store import RELEASE_FILE
from spec.splits import EVAL, TRAIN
from spec.workload import Search

_FORMAT = "1"  # raise it when what is kept of a search, or what it means, changes
_STALE_DAYS = 7
_STUDY = "search"


class Executor(base_executor.BaseExecutor):
    """Holds a part of train out, has hyper-parameters tried by processes here or on other machines, and writes down the best."""

    def Do(self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: dict[str, Any]) -> None:
        from components.tuner import _holdout, _outcome, _running
        from components.tuner._job import Job

        sources, lent = Sources.of(input_dict, exec_properties), machines.find()
        folder = _folder(self._context and self._context.stateful_working_dir, sources, exec_properties)
        target = pathlib.Path(artifact_utils.get_single_uri(output_dict["best_hyperparameters"]))
        job = Job.of(
            sources, exec_properties, folder, lent.name if lent else _STUDY, machines=lent.count if lent else 1
        )

        def prepare() -> None:
            _holdout.write_for(job, sources.examples, exec_properties["key"])

        with measured(output_dict) as rows:
            rows[ROWS_IN] = count_rows(sources.examples, TRAIN)
            started = time.monotonic()
            study = _running.search_on(lent, job, prepare) if lent else _running.search(job, prepare)
            found = _outcome.outcome(
                study,
                job,
                {split: count_rows(job.sources.examples, split) for split in (TRAIN, EVAL)},
                time.monotonic() - started,
            )
            found.write(target)
            shutil.copyfile(folder / JOURNAL_FILE, target / JOURNAL_FILE)
        shutil.rmtree(folder, ignore_errors=True)


def _folder(stateful_folder: str | None, sources: Sources, properties: dict[str, Any]) -> pathlib.Path:
    """Of the study, on this machine: the same for whoever runs the same search again.

    TFX gives every execution a folder of its own, and a retry is a new execution: it lies beside them instead. How many trials there
    are to be, and how many at a time, may change meanwhile.
    """
    root = pathlib.Path(tempfile.gettempdir()) / f"trainyard-searches-{os.getuid()}"
    if stateful_folder and "://" not in stateful_folder:
        root = pathlib.Path(stateful_folder).parents[1] / "searches"
    search = border.load(Search, properties["search"]).model_copy(update={"trials": 2, "parallel": 1})
    sha = hashlib.sha256()
    for part in (
        _FORMAT,
        border.dump(search),
        *(properties[n] for n in ("training", "module_digest", "metric", "key")),
    ):
        sha.update(part.encode() + b"\0")
    if sources.origin and (release := pathlib.Path(sources.origin) / RELEASE_FILE).is_file():
        sha.update(release.read_bytes())
    for path in split_files(sources.examples, TRAIN):
        with path.open("rb") as file:
            sha.update(hashlib.file_digest(file, "sha256").digest())
    _sweep(root, sha.hexdigest()[:32])
    return root / sha.hexdigest()[:32]


def _sweep(root: pathlib.Path, kept: str) -> None:
    """Removes what searches left that nobody ran again."""
    for other in root.glob("*"):
        with contextlib.suppress(OSError):
            if other.name != kept and time.time() - other.stat().st_mtime > _STALE_DAYS * 86_400:
                shutil.rmtree(other)
