"""Reading a store: find, verify, fetch. Never waits for a writer."""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
from collections.abc import Collection

from model_store import _fetch, _folders
from model_store._copies import Copies, own
from model_store._errors import StoreError, reading
from model_store._label_file import Label, LabelFile
from model_store._labels import (
    STABLE,
    HistoryEntry,
    read_history,
    read_labels,
    rolled_back,
    stable_before,
    stable_by_rollback,
)
from model_store._memory import Memory
from model_store._release import RELEASE_FILE, Release, parse_release, release_problems
from model_store._signing import Keys
from spec.errors import InputError
from storage import open_files

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Catalogue:
    """The part of `ModelStore` that only reads."""

    def __init__(
        self,
        uri: str | os.PathLike[str],
        keys: Keys | None = None,
        memory: str | os.PathLike[str] | None = None,
    ) -> None:
        try:
            self._files = open_files(os.fspath(uri))
        except InputError as error:
            raise StoreError(f"model store {error}") from None
        self._keys = Keys.from_environment() if keys is None else keys
        self._label_file = LabelFile(self._keys, Memory(memory))
        self.uri = self._files.uri

    def exists(self) -> bool:
        """Whether there is anything at the store's URI."""
        return self._files.exists("")

    def models(self) -> list[str]:
        """Models with at least one release, sorted; those whose folder cannot be read are among them.

        Raises:
            StoreError: the store as a whole cannot be read.
        """
        with reading(self.uri):
            names = [name for name in self._files.folders("") if MODEL_NAME.fullmatch(name)]
        return [name for name in names if self._has_versions(name)]

    def _has_versions(self, model: str) -> bool:
        try:
            return bool(self.versions(model))
        except StoreError:
            return True  # unreadable is not empty: the next question about it says so

    def versions(self, model: str) -> list[int]:
        """Published versions, oldest first.

        Raises:
            StoreError: the model's folder cannot be read.
        """
        if not MODEL_NAME.fullmatch(model):
            return []  # such a name may lead out of the store
        with reading(self._uri(model)):
            found = _folders.numbers(self._files, model)
            return [n for n in found if self._files.exists(f"{model}/{n}/{RELEASE_FILE}")]

    def release(self, model: str, version: int) -> Release:
        """What `release.json` of one version says.

        Raises:
            StoreError: there is no such model or version, or its release.json is damaged.
        """
        release, _ = self._read_release(model, version)
        if (release.model, release.version) != (model, version):
            raise StoreError(
                f"{release.uri}/{RELEASE_FILE} belongs to {release.model} version {release.version}. Restore it from a copy, or "
                "publish the model again."
            )
        return release

    def resolve(self, model: str, reference: str | int) -> Release:
        """The release behind a label (`stable`, `canary`) or a version.

        Raises:
            StoreError: there is none; the message names the labels and versions that exist.
        """
        if isinstance(reference, int):
            return self.release(model, reference)
        version = self.labels(model).get(reference)
        if version is None and reference.isdecimal():
            version = int(reference)
        if version is None:
            raise self._unknown(model, f"release labelled {reference!r}")
        return self.release(model, version)

    def labels(self, model: str) -> dict[str, int]:
        """Label -> version."""
        return {name: label.version for name, label in self.label_details(model).items()}

    def label_details(self, model: str) -> dict[str, Label]:
        """Label -> version and the share of requests it gets, read at once.

        Raises:
            StoreError: labels.json is damaged or, where keys are trusted, is not signed by one or older than it was; the message says
                how to mend it.
        """
        return dict(read_labels(self._files, model, self._label_file))

    def history(self, model: str) -> list[HistoryEntry]:
        """What happened to the model's releases, oldest first."""
        return read_history(self._files, model)

    def rolled_back(self, model: str, version: int) -> HistoryEntry | None:
        """When and why a version was taken out of service; None if it was not, or is stable again since."""
        return rolled_back(self.history(model), version)

    def stable_by_rollback(self, model: str) -> HistoryEntry | None:
        """The rollback that made the present stable release stable; None if it was promoted."""
        return stable_by_rollback(self.history(model))

    def stable_before(self, model: str) -> int | None:
        """The version that `rollback` would go back to; None if there is none, or no stable release."""
        current = self.labels(model).get(STABLE)
        return None if current is None else stable_before(self.history(model), current, self.versions(model))

    def verify(self, model: str, version: int) -> tuple[str, ...]:
        """Compares every byte of a release with what was published.

        Returns:
            The problems in words (files changed, missing or added, release.json changed); empty if it is intact.

        Raises:
            StoreError: there is no such release.
        """
        try:
            release, manifest = self._read_release(model, version)
        except StoreError as error:
            if not self._files.exists(f"{model}/{version}/{RELEASE_FILE}"):
                raise
            return (str(error),)
        if problems := self._manifest_problems(model, version, release, manifest):
            return tuple(problems)  # a changed manifest proves nothing about the files
        return tuple(_fetch.compare(self._files, f"{model}/{version}", release))

    def fetch(
        self, model: str, version: int, folder: str | os.PathLike[str], without: Collection[str] = ()
    ) -> pathlib.Path:
        """A verified copy of a release, ready to load.

        Args:
            folder: one that nobody else may use, such as a temporary one; made where there is none.
            without: files, and folders of files, that need not be copied, such as `KERAS_FILE` where the SavedModel is served.

        Returns:
            `<folder>/<model>/<version>`, where nothing may be yet.

        Raises:
            StoreError: there is no such release, its bytes are not those that were published, or the folder is not ours alone.
        """
        release, manifest = self._trusted(model, version)
        target = own(folder) / model / str(version)
        _fetch.copy(self._files, release, manifest, target, without)
        return target

    def copies(self, folder: str | os.PathLike[str], without: Collection[str] = ()) -> Copies:
        """Verified copies of releases in a folder, for a server: kept while they are served, and shared with other servers.

        Raises:
            StoreError: the folder is not ours alone.
        """
        return Copies(self._files, self._trusted, folder, without)

    def _trusted(self, model: str, version: int) -> tuple[Release, bytes]:
        """A release and the bytes that say so, once they are sealed, and signed where keys are trusted. Raises StoreError."""
        release, manifest = self._read_release(model, version)
        if problems := self._manifest_problems(model, version, release, manifest):
            raise _fetch.refusal(model, version, problems)
        return release, manifest

    def _read_release(self, model: str, version: int) -> tuple[Release, bytes]:
        uri = self._uri(f"{model}/{version}")
        try:
            with reading(f"{uri}/{RELEASE_FILE}"):
                manifest = self._files.read(f"{model}/{version}/{RELEASE_FILE}")
        except FileNotFoundError:
            raise self._unknown(model, f"release {version}") from None
        return parse_release(manifest, uri), manifest

    def _manifest_problems(self, model: str, version: int, release: Release, manifest: bytes) -> list[str]:
        problems = release_problems(manifest, self._keys)
        if not problems and (release.model, release.version) != (model, version):
            problems.append(f"{RELEASE_FILE} belongs to {release.model} version {release.version}")
        return problems

    def read(self, release: Release, name: str) -> bytes:
        """A file of a release, as it was published.

        Raises:
            StoreError: the release has no such file, or it is not what was published.
        """
        if name not in release.files:
            raise StoreError(f"{release.model} version {release.version} has no {name}.")
        with reading(f"{release.uri}/{name}"):
            content = self._files.read(f"{release.model}/{release.version}/{name}")
        if hashlib.sha256(content).hexdigest() != release.files[name]["sha256"]:
            raise StoreError(f"{release.uri}/{name} is not what was published. Restore it from a copy.")
        return content

    def _insist_intact(self, model: str, version: int) -> None:
        if problems := self.verify(model, version):
            raise _fetch.refusal(model, version, problems)

    def _uri(self, path: str) -> str:
        return f"{self.uri}/{path}"

    def _unknown(self, model: str, what: str) -> StoreError:
        versions = self.versions(model)
        if not versions:
            known = ", ".join(self.models()) or "none"
            return StoreError(f"there is no model {model!r} in {self.uri}. Known models: {known}.")
        labels = ", ".join(f"{label} -> {version}" for label, version in self.labels(model).items()) or "none"
        return StoreError(f"{model} has no {what}. Known versions: {', '.join(map(str, versions))}; labels: {labels}.")
