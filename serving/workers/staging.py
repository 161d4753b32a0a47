"""What workers are to serve: the store is followed, releases are copied and verified, and labels move when all have loaded them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from model_store import Label, StoreError
from serving.models.source import Source
from serving.workers.messages import Staged, StagedModel
from spec.words import one_line

_log = logging.getLogger("serving")

_RETRY_SECONDS = 5.0
_MOST_WAIT_SECONDS = 60.0
"""How long labels wait for workers that load: one that cannot is no reason to serve the old version for ever."""


class Stager:
    """Follows a store.

    Args:
        names: the models to serve; None: all that have a label.
        failed: called when the store cannot be read.
    """

    def __init__(self, source: Source, names: Sequence[str] | None, failed: Callable[[], None]) -> None:
        self._source, self._names, self._failed = source, names, failed
        self._folders: dict[tuple[str, int], str] = {}
        self._refused: dict[tuple[str, int], tuple[str, float]] = {}
        self._since: dict[str, tuple[Mapping[str, Label], float]] = {}
        self._said: dict[str, str] = {}
        self.staged = Staged(source.uri)

    def refresh(self, tried: Callable[[str, int], bool]) -> Staged:
        """Reads the store once.

        Args:
            tried: whether each worker has loaded or refused a version.
        """
        try:
            exists = self._source.exists()
            names = list(self._names or (sorted({*self._source.labelled(), *self.staged.models}) if exists else ()))
        except Exception as error:
            self._store_failed("store", error)
            return self.staged
        models = {}
        for name in names:
            before = self.staged.models.get(name, StagedModel())
            try:
                models[name] = self._model(name, before, tried)
            except StoreError as error:
                models[name] = StagedModel(
                    before.labels, before.ahead, before.folders, before.refused, before.versions, str(error)
                )
            except Exception as error:
                self._store_failed(name, error)
                models[name] = before
        self.staged = Staged(self._source.uri, exists, models)
        kept = {(name, version) for name, one in models.items() for version in one.folders}
        self._folders = {key: folder for key, folder in self._folders.items() if key in kept}
        self._source.keep(kept)
        return self.staged

    def _model(self, name: str, before: StagedModel, tried: Callable[[str, int], bool]) -> StagedModel:
        labels = dict(self._source.labels(name))
        versions = {label.version for label in labels.values()}
        for version in versions:
            self._stage(name, version)
        shown = labels if self._may_switch(name, labels, before, tried) else before.labels
        served = versions | {label.version for label in shown.values()}
        return StagedModel(
            shown,
            tuple(sorted(versions - {label.version for label in shown.values()})),
            {version: self._folders[name, version] for version in sorted(served) if (name, version) in self._folders},
            {
                version: self._refused[name, version][0]
                for version in sorted(served)
                if (name, version) in self._refused
            },
            tuple(self._source.versions(name)),
        )

    def _stage(self, name: str, version: int) -> None:
        """Copies and verifies a version, unless that is done or failed a moment ago."""
        key = (name, version)
        _, retry_at = self._refused.get(key, ("", 0.0))
        if key in self._folders or time.monotonic() < retry_at:
            return
        try:
            self._folders[key] = str(self._source.take(name, version))
            self._refused.pop(key, None)
        except StoreError as error:
            self._refused[key] = (str(error), time.monotonic() + _RETRY_SECONDS)

    def _may_switch(
        self, name: str, labels: Mapping[str, Label], before: StagedModel, tried: Callable[[str, int], bool]
    ) -> bool:
        if labels == before.labels or not before.labels:
            return True
        known, since = self._since.get(name, (None, 0.0))
        if known != labels:
            self._since[name] = (labels, since := time.monotonic())
        versions = {label.version for label in labels.values()}
        ready = all(tried(name, version) for version in versions if (name, version) in self._folders)
        return ready or time.monotonic() - since > _MOST_WAIT_SECONDS

    def _store_failed(self, about: str, error: Exception) -> None:
        self._failed()
        if self._said.get(about) != str(error):
            self._said[about] = str(error)
            _log.warning("cannot read the store: %s", one_line(error))


class Following:
    """A stager in a thread of its own.

    Args:
        told: called with each state that differs from the one before, in that thread.
    """

    def __init__(
        self, stager: Stager, seconds: float, tried: Callable[[str, int], bool], told: Callable[[Staged], None]
    ) -> None:
        self._stager, self._seconds, self._tried, self._told = stager, seconds, tried, told
        self._stop = threading.Event()
        self._look = threading.Event()
        threading.Thread(target=self._run, name="staging", daemon=True).start()

    def look(self) -> None:
        """Looks at once: a worker has loaded something."""
        self._look.set()

    def stop(self) -> None:
        self._stop.set()
        self._look.set()

    def _run(self) -> None:
        before: Staged | None = None
        while not self._stop.is_set():
            self._look.clear()
            staged = self._stager.refresh(self._tried)
            if staged != before:
                self._told(staged)
                before = staged
            self._look.wait(self._seconds)
