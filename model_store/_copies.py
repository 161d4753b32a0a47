"""Copies of releases that are kept while they are served."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Callable, Collection

from model_store import _fetch
from model_store._errors import StoreError, from_os_error
from model_store._release import RELEASE_FILE, Release
from spec.errors import InputError
from storage import Files, Hold, LocalFolder, hold, private_folder, remove_unless_held

_PREFIX = "trainyard-release-"


class Copies:
    """Verified copies of releases in a folder that is ours alone: what was verified is what is loaded.

    Several processes may share the folder. Each verifies a copy before it uses it, and none removes what another uses. What a killed
    process left is used again, or removed by the next `keep`.

    Args:
        files: of the store.
        trusted: a release and the bytes of its release.json, which is sealed and, where keys are trusted, signed.
        folder: made with mode 700.
        without: files, and folders of files, that are not copied.

    Raises:
        StoreError: the folder is not ours alone.
    """

    def __init__(
        self,
        files: Files,
        trusted: Callable[[str, int], tuple[Release, bytes]],
        folder: str | os.PathLike[str],
        without: Collection[str],
    ) -> None:
        self._files, self._trusted, self._without = files, trusted, without
        self.folder = own(folder)
        self._held: dict[tuple[str, int], Hold] = {}

    def take(self, model: str, version: int) -> pathlib.Path:
        """A verified copy of a release, which stays until `keep` is called without it.

        Raises:
            StoreError: there is no such release, its bytes are not those that were published, or they cannot be copied.
        """
        release, manifest = self._trusted(model, version)
        path, held = self._found(release, manifest) or self._made(release, manifest)
        if before := self._held.pop((model, version), None):
            before.close()
        self._held[model, version] = held
        return path

    def keep(self, wanted: Collection[tuple[str, int]]) -> None:
        """Gives up the copies of all but some releases, and removes those that no process uses."""
        for unwanted in self._held.keys() - set(wanted):
            self._held.pop(unwanted).close()
        for folder in self._folders():
            remove_unless_held(folder)

    def _folders(self) -> list[pathlib.Path]:
        return [self.folder / name for name in LocalFolder(self.folder).folders("") if name.startswith(_PREFIX)]

    def _found(self, release: Release, manifest: bytes) -> tuple[pathlib.Path, Hold] | None:
        for folder in self._folders():
            if held := hold(folder):
                if self._is_good(folder.name, release, manifest):
                    return folder, held
                held.close()
        return None

    def _is_good(self, copy: str, release: Release, manifest: bytes) -> bool:
        here = LocalFolder(self.folder)
        try:
            same = here.read(f"{copy}/{RELEASE_FILE}") == manifest
        except OSError:
            return False  # it is unfinished
        return same and not _fetch.compare(here, copy, release, self._without)

    def _made(self, release: Release, manifest: bytes) -> tuple[pathlib.Path, Hold]:
        folder, held = self._new(release)
        try:
            _fetch.copy(self._files, release, manifest, folder, self._without)
        except BaseException:
            held.close()
            raise
        return folder, held

    def _new(self, release: Release) -> tuple[pathlib.Path, Hold]:
        while True:  # another process may take it for a leftover before it is held
            try:
                name = tempfile.mkdtemp(prefix=f"{_PREFIX}{release.model}-{release.version}-", dir=self.folder)
            except OSError as error:
                raise from_os_error(error, f"fetching {release.uri} to {self.folder}") from error
            folder = pathlib.Path(name)
            if held := hold(folder):
                return folder, held


def own(folder: str | os.PathLike[str]) -> pathlib.Path:
    """A folder that is ours alone. Raises StoreError: it is not."""
    try:
        return private_folder(pathlib.Path(folder).expanduser().absolute())
    except InputError as error:
        raise StoreError(str(error)) from error
