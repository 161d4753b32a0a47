"""Where a manager learns which versions to serve, and finds their files."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Mapping
from typing import Protocol

from model_store import KERAS_FILE, Label, ModelStore, StoreError


class Source(Protocol):
    """What labels say, and verified copies of the releases that they point at.

    Attributes:
        uri: of the store.
    """

    @property
    def uri(self) -> str: ...

    def exists(self) -> bool:
        """Whether there is a store."""

    def labelled(self) -> list[str]:
        """The models that have a label, or whose labels cannot be read."""

    def labels(self, model: str) -> Mapping[str, Label]:
        """Raises StoreError: they cannot be read."""

    def versions(self, model: str) -> list[int]:
        """The releases that there are, oldest first."""

    def ahead(self, model: str) -> Collection[int]:
        """Versions to be loaded before a label points at them."""

    def take(self, model: str, version: int) -> pathlib.Path:
        """The folder of a release. Raises StoreError: it is not what was published, or cannot be read."""

    def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        """Gives up all releases but some."""


class StoreSource:
    """A model store, and copies of its releases that are verified once they are ours.

    Args:
        cache: folder of ours alone, for the copies.

    Raises:
        StoreError: others may use the cache.
    """

    def __init__(self, store: ModelStore, cache: pathlib.Path) -> None:
        self._store = store
        self._copies = store.copies(cache, without=(KERAS_FILE,))
        self.uri = store.uri
        self.exists = store.exists
        self.labels = store.label_details
        self.versions = store.versions
        self.take = self._copies.take
        self.keep = self._copies.keep

    def labelled(self) -> list[str]:
        return [name for name in self._store.models() if self._has_labels(name)]

    def ahead(self, model: str) -> Collection[int]:
        return ()

    def _has_labels(self, name: str) -> bool:
        try:
            return bool(self._store.labels(name))
        except StoreError:
            return True  # damaged: whoever reads them reports it, for this model only
