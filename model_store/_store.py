"""Changing a store: publish, label, roll back, delete."""

from __future__ import annotations

import logging
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from model_store import _folders
from model_store._catalogue import MODEL_NAME, Catalogue
from model_store._errors import StoreError, writing
from model_store._label_file import Label, LabelFile
from model_store._labels import (
    CANARY,
    DELETE,
    PROMOTE,
    PUBLISH,
    REMOVE,
    ROLLBACK,
    SET,
    SHARE,
    STABLE,
    WITHDRAW,
    Change,
    now,
    remove_labels,
)
from model_store._memory import Memory
from model_store._release import RELEASE_FILE, Release, ReleaseDraft, seal_release
from model_store._signing import Keys
from spec import environment as env
from storage import StillHeld

_log = logging.getLogger(__name__)

_LABEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")


class ModelStore(Catalogue):
    """The releases of all models below one folder or URL.

    Safe for several processes at once, on several machines. Publishing and labelling wait for one another, per model; a process
    that loses the lock changes nothing and says so.

    Args:
        uri: a path, or a URL that fsspec can read and write, e.g. `s3://bucket/models`.
        keys: what to sign with and whom to trust; default: as TRAINYARD_SIGNING_KEY and TRAINYARD_PUBLIC_KEYS say.
        memory: folder of ours that says which signed labels were seen, so that earlier ones are refused; default: this process knows.

    Raises:
        StoreError: nothing can read such a URL, or a key cannot be used.
    """

    def publish(
        self, model: str, source: str | os.PathLike[str] | Mapping[str, pathlib.Path], draft: ReleaseDraft
    ) -> Release:
        """Publishes a SavedModel as the next version, in one step: readers see all of it or nothing.

        Args:
            model: name of the model; letters, digits, `_`, `.` and `-`.
            source: folder of the SavedModel, without links; or its files, by their paths relative to such a folder.
            draft: what is known of it.

        Returns:
            The release; the earlier one if `draft.publication_key` was published before.

        Raises:
            StoreError: the source is no SavedModel, or the store cannot be written; nothing is left behind.
        """
        if not MODEL_NAME.fullmatch(model):
            raise StoreError(
                f"model name {model!r}: use letters, digits, _, . and -, at most 128, beginning with a letter or digit."
            )
        files = _folders.saved_model_files(source if isinstance(source, Mapping) else pathlib.Path(source))
        with writing(f"publishing {model} to {self.uri}"):
            if published := self._published(model, draft.publication_key):
                with self._lock(model):
                    self._note_publication(published)
                return published
            return self._publish(model, files, draft)

    def _publish(self, model: str, files: Mapping[str, pathlib.Path], draft: ReleaseDraft) -> Release:
        _folders.remove_stale(self._files, model)
        # An object store cannot rename: its files go to their final place at once, and release.json makes them count.
        version = None if self._files.renames else self._allot_locked(model)
        folder = _folders.unfinished(model) if version is None else f"{model}/{version}"
        try:
            digests = {name: self._files.copy_in(path, f"{folder}/{name}") for name, path in files.items()}
            with self._lock(model) as still_held:
                if published := self._published(model, draft.publication_key):
                    self._files.remove(folder)
                    return published
                if version is None:
                    version = _folders.allot_version(self._files, model, self.history(model))
                final = f"{model}/{version}"
                release = seal_release(draft, model, version, self._uri(final), now(), digests, self._keys)
                still_held()
                self._files.swap(f"{folder}/{RELEASE_FILE}", release.to_json().encode(), None)
                if self._files.renames:
                    self._files.rename(folder, final)
                folder = ""  # committed: from here on nothing may take it away
                self._note_publication(release)
                return release
        except BaseException:
            if folder:
                self._files.remove(folder)
            raise

    def set_label(
        self, model: str, label: str, version: int, *, share: float | None = None, reason: str, actor: str
    ) -> None:
        """Points a label at a version.

        Args:
            share: of the requests that name neither version nor label, how many the version answers, 0 to 1. Default: as
                before if the label pointed there already, else none. `stable` gets what the others leave.

        Raises:
            StoreError: there is no such version, the label is not a name, or the share does not fit.
        """
        if not _LABEL_NAME.fullmatch(label):
            raise StoreError(f"label {label!r}: use lower-case letters, digits, _ and -, beginning with a letter.")
        if share is not None and (label != CANARY or not 0 <= share <= 1):
            raise StoreError(f"share: only {CANARY!r} takes one, from 0 to 1. Received: {share} for {label!r}.")
        self.release(model, version)
        with self._changing(model) as change:
            labels = change.labels
            before = labels.get(label)
            same = before is not None and before.version == version
            kept = before.share if before is not None and same else 0.0
            labels[label] = Label(version, kept if share is None else share)
            previous = before.version if before else None
            if not same:
                change.note(f"{SET} {label}", version, previous, reason, actor)
            if labels[label].share != kept:
                change.note(f"{SHARE} {label}", version, version, f"{labels[label].share:g}: {reason}", actor)

    def remove_label(self, model: str, label: str, *, reason: str, actor: str) -> None:
        """Removes a label; does nothing if it is not set."""
        if not self.versions(model):
            raise self._unknown(model, f"label {label!r}")
        with self._changing(model) as change:
            if (before := change.labels.pop(label, None)) is not None:
                change.note(f"{REMOVE} {label}", None, before.version, reason, actor)

    def withdraw(self, model: str, version: int, *, reason: str, actor: str) -> list[str]:
        """Takes a bad version out of service: removes every label that points at it, and `rolled_back` says so.

        Use `rollback` for a stable release that has another before it.

        Returns:
            The labels that were removed.
        """
        with self._changing(model) as change:
            pointing = [name for name, label in change.labels.items() if label.version == version]
            for name in pointing:
                del change.labels[name]
                change.note(f"{WITHDRAW} {name}", None, version, reason, actor)
        return pointing

    def sign_labels(self, model: str) -> dict[str, int]:
        """Signs a model's labels as they are, once the releases that they point at are verified.

        Needed once, for labels of the time before there was a key, and after labels.json was restored from a copy.

        Returns:
            What was signed: label -> version.

        Raises:
            StoreError: there is no key to sign with, no label, or a release that is not intact.
        """
        if self._keys.private is None:
            raise StoreError(f"there is no key to sign with. Name its file in {env.SIGNING_KEY}.")
        unverified = LabelFile(Keys(self._keys.private), Memory())
        with writing(f"signing the labels of {model} in {self.uri}"), self._lock(model) as still_held:
            change = Change(self._files, model, unverified)
            if not change.labels:
                raise self._unknown(model, "label")
            for version in sorted({label.version for label in change.labels.values()}):
                self._insist_intact(model, version)
            still_held()
            change.commit(anyhow=True)
        return {name: label.version for name, label in change.labels.items()}

    def promote(self, model: str, version: int, *, reason: str, actor: str) -> Release:
        """Verifies a release and makes it stable; the canary label goes if it pointed there.

        Raises:
            StoreError: there is no such release, or it is not intact.
        """
        return self._make_stable(model, version, PROMOTE, reason, actor)

    def rollback(self, model: str, *, to: int | None = None, reason: str, actor: str) -> Release:
        """Makes an earlier release stable again.

        Args:
            to: the version; default: the stable release before the present one.

        Raises:
            StoreError: there is no earlier release, or it is not intact.
        """
        if to is None:
            current = self.resolve(model, STABLE).version
            to = self.stable_before(model)
            if to is None:
                raise StoreError(
                    f"{model}: there is no stable release before version {current} to roll back to. Name one (--to, in Python `to`)."
                )
        return self._make_stable(model, to, ROLLBACK, reason, actor)

    def delete(self, model: str, version: int, *, reason: str, actor: str) -> None:
        """Deletes a release, in one step for readers; its number is not used again.

        Raises:
            StoreError: there is no such release, it has a label, or it is the one that `rollback` would go back to.
        """
        with writing(f"deleting {model} version {version} from {self.uri}"), self._lock(model) as still_held:
            if version not in self.versions(model):
                raise self._unknown(model, f"release {version}")
            labels = [label for label, labelled in self.labels(model).items() if labelled == version]
            if labels or version == self.stable_before(model):
                why = f"is labelled {labels[0]}" if labels else "is the release to roll back to"
                raise StoreError(f"{model} version {version} {why}; it is not deleted. Move the label first.")
            change = self._change(model)
            change.note(DELETE, version, None, reason, actor)
            still_held()
            change.commit()
            folder = f"{model}/{version}"
            if self._files.renames:
                # Readers skip this name, and a later publication removes it should we be killed now.
                aside = _folders.unfinished(model, f"deleted-{version}-")
                self._files.rename(folder, aside)
                folder = aside
            else:
                self._files.remove_file(f"{folder}/{RELEASE_FILE}")
            self._files.remove(folder)

    def remove(self, model: str) -> None:
        """Deletes a model with its releases, labels and history. Its labels go first, so that nobody follows them meanwhile.

        Raises:
            StoreError: there is no such model.
        """
        if model not in self.models():
            raise self._unknown(model, "release")
        with writing(f"deleting {model} from {self.uri}"), self._lock(model) as still_held:
            still_held()
            remove_labels(self._files, model)
            self._files.remove(model)

    def _make_stable(self, model: str, version: int, action: str, reason: str, actor: str) -> Release:
        release = self.release(model, version)
        self._insist_intact(model, version)
        with self._changing(model) as change:
            labels = change.labels
            before = labels.get(STABLE)
            previous = before.version if before else None
            if CANARY in labels and labels[CANARY].version == version:
                del labels[CANARY]
            if previous != version:
                labels[STABLE] = Label(version)
                change.note(action, version, previous, reason, actor)
        return release

    @contextmanager
    def _changing(self, model: str) -> Iterator[Change]:
        """Labels and history, read under the lock and written if the body changed them."""
        with writing(f"labelling {model} in {self.uri}"), self._lock(model) as still_held:
            change = self._change(model)
            yield change
            still_held()
            change.commit()

    def _change(self, model: str) -> Change:
        return Change(self._files, model, self._label_file)

    def _lock(self, model: str) -> AbstractContextManager[StillHeld]:
        return self._files.lock(f"{model}/.lock")

    def _note_publication(self, release: Release) -> None:
        """Adds a publication to the history once; the next publish adds it if this one could not."""
        model, version = release.model, release.version
        try:
            change = self._change(model)
            if all((entry.action, entry.version) != (PUBLISH, version) for entry in change.history):
                change.note(PUBLISH, version, None, f"run {release.run_id}", release.pipeline)
                change.commit()
        except OSError as error:
            _log.warning(
                "%s version %d is published, but %s/history.jsonl: %s", model, version, self._uri(model), error
            )

    def _published(self, model: str, publication_key: str) -> Release | None:
        for version in reversed(self.versions(model)):
            try:
                release = self.release(model, version)
            except StoreError:
                continue  # damaged, so its publication is unknown; verify says what is wrong
            if release.publication_key == publication_key:
                return release
        return None

    def _allot_locked(self, model: str) -> int:
        with self._lock(model):
            return _folders.allot_version(self._files, model, self.history(model))
