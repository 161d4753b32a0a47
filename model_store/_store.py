"""The store itself: publish, find, verify, label, roll back."""

from __future__ import annotations

import datetime
import errno
import logging
import os
import pathlib
import re
from collections.abc import Iterator
from contextlib import contextmanager

from model_store import _fetch, _folders
from model_store._errors import StoreError, from_os_error
from model_store._files import open_files
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
    HistoryEntry,
    Label,
    append_history,
    read_history,
    read_labels,
    rolled_back,
    stable_before,
    write_labels,
)
from model_store._release import RELEASE_FILE, Release, ReleaseDraft, parse_release, release_problems, seal_release
from model_store._signing import Keys

_log = logging.getLogger(__name__)

_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_LABEL_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LOCK_FILE = ".lock"
_UNREADABLE = frozenset({errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EIO, errno.ELOOP})


class ModelStore:
    """The releases of all models below one folder or URL.

    Safe for several processes at once. Reading never waits; publishing and labelling wait for one another, per model.

    Args:
        uri: a path, or a URL that fsspec can read and write, e.g. `s3://bucket/models`.
        keys: what to sign with and whom to trust; default: as TRAINYARD_SIGNING_KEY and TRAINYARD_PUBLIC_KEYS say.

    Raises:
        StoreError: nothing can read such a URL, or a key cannot be used.
    """

    def __init__(self, uri: str | os.PathLike[str], keys: Keys | None = None) -> None:
        self._files = open_files(os.fspath(uri))
        self._keys = Keys.from_environment() if keys is None else keys
        self.uri = self._files.uri

    def exists(self) -> bool:
        """Whether there is anything at the store's URI."""
        return self._files.exists("")

    def models(self) -> list[str]:
        """Models with at least one release, sorted; also those whose folder cannot be read, as every question about them says.

        Raises:
            StoreError: the store as a whole cannot be read.
        """
        with _reading(self.uri):
            names = [name for name in self._files.folders("") if _MODEL_NAME.fullmatch(name)]
        return [name for name in names if self._has_versions(name)]

    def _has_versions(self, model: str) -> bool:
        try:
            return bool(self.versions(model))
        except StoreError:
            return True  # unreadable is not empty: whoever asks on is told so

    def versions(self, model: str) -> list[int]:
        """Published versions, oldest first.

        Raises:
            StoreError: the model's folder cannot be read.
        """
        if not _MODEL_NAME.fullmatch(model):
            return []  # not a folder of ours, but perhaps a way out of the store
        with _reading(self._uri(model)):
            found = _folders.numbers(self._files, model)
            return [n for n in found if self._files.exists(f"{model}/{n}/{RELEASE_FILE}")]

    def publish(self, model: str, source: str | os.PathLike[str], draft: ReleaseDraft) -> Release:
        """Publishes a SavedModel as the next version, in one step: readers see all of it or nothing.

        Args:
            model: name of the model; letters, digits, `_`, `.` and `-`.
            source: folder of the SavedModel.
            draft: what is known of it.

        Returns:
            The release; the earlier one if `draft.publication_key` was published before.

        Raises:
            StoreError: the source is no SavedModel, or the store cannot be written; nothing is left behind.
        """
        if not _MODEL_NAME.fullmatch(model):
            raise StoreError(
                f"model name {model!r}: use letters, digits, _, . and -, at most 128, beginning with a letter or digit."
            )
        source = pathlib.Path(source)
        names = _folders.saved_model_files(source)
        doing = f"publishing {model} to {self.uri}"
        try:
            if published := self._published(model, draft.publication_key):
                with self._lock(model):
                    self._record_publish(published)
                return published
            return self._publish(model, source, names, draft)
        except FileExistsError:
            raise StoreError(f"another publisher took the same version while {doing}. Publish again.") from None
        except OSError as error:
            raise from_os_error(error, doing) from error

    def _publish(self, model: str, source: pathlib.Path, names: list[str], draft: ReleaseDraft) -> Release:
        _folders.remove_stale(self._files, model)
        # An object store cannot rename: its files go to their final place at once, and release.json makes them count.
        version = None if self._files.renames else self._allot_locked(model)
        folder = _folders.unfinished(model) if version is None else f"{model}/{version}"
        try:
            digests = {name: self._files.copy_in(source / name, f"{folder}/{name}") for name in names}
            with self._lock(model):
                if published := self._published(model, draft.publication_key):
                    self._files.remove(folder)
                    return published
                version = (
                    _folders.allot_version(self._files, model, self.history(model)) if version is None else version
                )
                final = f"{model}/{version}"
                release = seal_release(draft, model, version, self._uri(final), _now(), digests, self._keys)
                self._files.create(f"{folder}/{RELEASE_FILE}", release.to_json().encode())
                if self._files.renames:
                    self._files.rename(folder, final)
                folder = ""  # committed: from here on nothing may take it away
                self._record_publish(release)
                return release
        except BaseException:
            if folder:
                self._files.remove(folder)
            raise

    def release(self, model: str, version: int) -> Release:
        """What `release.json` of one version says.

        Raises:
            StoreError: there is no such model or version, or its release.json is damaged.
        """
        uri = self._uri(f"{model}/{version}")
        try:
            with _reading(f"{uri}/{RELEASE_FILE}"):
                text = self._files.read(f"{model}/{version}/{RELEASE_FILE}")
        except FileNotFoundError:
            raise self._unknown(model, f"release {version}") from None
        release = parse_release(text, uri)
        if (release.model, release.version) != (model, version):
            raise StoreError(
                f"{uri}/{RELEASE_FILE} belongs to {release.model} version {release.version}. Restore it from a copy, or "
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
            StoreError: labels.json is damaged; the message says how to mend it.
        """
        with _reading(self._uri(f"{model}/labels.json")):
            return read_labels(self._files, f"{model}/labels.json")

    def history(self, model: str) -> list[HistoryEntry]:
        """What happened to the model's releases, oldest first."""
        with _reading(self._uri(f"{model}/history.jsonl")):
            return read_history(self._files, f"{model}/history.jsonl")

    def rolled_back(self, model: str, version: int) -> HistoryEntry | None:
        """When and why a version was taken out of service; None if it was not, or is stable again since."""
        return rolled_back(self.history(model), version)

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
        folder = f"{model}/{version}"
        try:
            with _reading(self._uri(f"{folder}/{RELEASE_FILE}")):
                manifest = self._files.read(f"{folder}/{RELEASE_FILE}")
            release = parse_release(manifest, self._uri(folder))
        except FileNotFoundError:
            raise self._unknown(model, f"release {version}") from None
        except StoreError as error:
            return (str(error),)
        problems = release_problems(manifest, self._keys)
        if problems:
            return tuple(problems)  # what a changed manifest says of the files proves nothing
        if (release.model, release.version) != (model, version):
            problems.append(f"{RELEASE_FILE} belongs to {release.model} version {release.version}")
        return (*problems, *_fetch.compare(self._files, folder, release))

    def fetch(self, model: str, version: int, folder: str | os.PathLike[str]) -> pathlib.Path:
        """A verified release on the local disk, ready to load.

        Args:
            folder: a remote release is copied to `<folder>/<model>/<version>`; a good copy there is used again.

        Returns:
            The SavedModel's folder; in a local store the release itself, not a copy: never write to it.

        Raises:
            StoreError: there is no such release, or its bytes are not those that were published.
        """
        local = self._files.local_path(f"{model}/{version}")
        if local is None:
            release = self.release(model, version)
            return _fetch.download(self._files, release, pathlib.Path(folder), self._keys)
        self._insist_intact(model, version)
        return local

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
        with self._changing(model) as labels:
            before = labels.get(label)
            same = before is not None and before.version == version
            kept = before.share if before is not None and same else 0.0
            labels[label] = Label(version, kept if share is None else share)
            previous = before.version if before else None
            if not same:
                self._record(model, f"{SET} {label}", version, previous, reason=reason, actor=actor)
            if labels[label].share != kept:
                self._record(
                    model,
                    f"{SHARE} {label}",
                    version,
                    version,
                    reason=f"{labels[label].share:g}: {reason}",
                    actor=actor,
                )

    def remove_label(self, model: str, label: str, *, reason: str, actor: str) -> None:
        """Takes a label away; nothing happens if it is not set."""
        if not self.versions(model):
            raise self._unknown(model, f"label {label!r}")
        with self._changing(model) as labels:
            if (before := labels.pop(label, None)) is not None:
                self._record(model, f"{REMOVE} {label}", None, before.version, reason=reason, actor=actor)

    def withdraw(self, model: str, version: int, *, reason: str, actor: str) -> list[str]:
        """Takes a version that did not do out of service: every label that points there goes, and `rolled_back` says so.

        A stable release that has one before it is better replaced by `rollback`.

        Returns:
            The labels that were taken away; empty if there was none.
        """
        with self._changing(model) as labels:
            pointing = [name for name, label in labels.items() if label.version == version]
            for name in pointing:
                del labels[name]
                self._record(model, f"{WITHDRAW} {name}", None, version, reason=reason, actor=actor)
        return pointing

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
        try:
            with self._lock(model):
                if version not in self.versions(model):
                    raise self._unknown(model, f"release {version}")
                labels = [label for label, labelled in self.labels(model).items() if labelled == version]
                if labels or version == self.stable_before(model):
                    why = f"is labelled {labels[0]}" if labels else "is the release to roll back to"
                    raise StoreError(f"{model} version {version} {why}; it is not deleted. Move the label first.")
                self._record(model, DELETE, version, None, reason=reason, actor=actor)
                folder = f"{model}/{version}"
                if self._files.renames:
                    # Under a name that readers pass over, and that a later publication removes should we be killed now.
                    aside = _folders.unfinished(model, f"deleted-{version}-")
                    self._files.rename(folder, aside)
                    folder = aside
                else:
                    self._files.remove(f"{folder}/{RELEASE_FILE}")
                self._files.remove(folder)
        except OSError as error:
            raise from_os_error(error, f"deleting {model} version {version} from {self.uri}") from error

    def remove(self, model: str) -> None:
        """Deletes a model with its releases, labels and history. Its labels go first: from then on nobody is led to it.

        Raises:
            StoreError: there is no such model.
        """
        if model not in self.models():
            raise self._unknown(model, "release")
        try:
            with self._lock(model):
                if self.labels(model):
                    write_labels(self._files, f"{model}/labels.json", {})
                self._files.remove(model)
        except OSError as error:
            raise from_os_error(error, f"deleting {model} from {self.uri}") from error

    def _make_stable(self, model: str, version: int, action: str, reason: str, actor: str) -> Release:
        release = self.release(model, version)
        self._insist_intact(model, version)
        with self._changing(model) as labels:
            before = labels.get(STABLE)
            previous = before.version if before else None
            if CANARY in labels and labels[CANARY].version == version:
                del labels[CANARY]
            if previous != version:
                labels[STABLE] = Label(version)
                self._record(model, action, version, previous, reason=reason, actor=actor)
        return release

    def _insist_intact(self, model: str, version: int) -> None:
        if problems := self.verify(model, version):
            more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
            raise StoreError(
                f"{model} version {version} is not what was published: {'; '.join(problems[:3])}{more}. "
                "Restore it from a copy, or publish the model again."
            )

    @contextmanager
    def _changing(self, model: str) -> Iterator[dict[str, Label]]:
        """The labels, to change in place; written under the lock if they did change."""
        try:
            with self._lock(model):
                before = self.label_details(model)
                labels = dict(before)
                yield labels
                if labels != before:
                    write_labels(self._files, f"{model}/labels.json", labels)
        except OSError as error:
            raise from_os_error(error, f"labelling {model} in {self.uri}") from error

    @contextmanager
    def _lock(self, model: str) -> Iterator[None]:
        with self._files.lock(f"{model}/{_LOCK_FILE}"):
            yield

    def _record(
        self, model: str, action: str, version: int | None, previous: int | None, *, reason: str, actor: str
    ) -> None:
        entry = HistoryEntry(_now(), action, version, previous, reason, actor)
        append_history(self._files, f"{model}/history.jsonl", entry)

    def _record_publish(self, release: Release) -> None:
        """Notes a publication once; a note that could not be written is made up for by the next publish."""
        model, version = release.model, release.version
        try:
            if all((entry.action, entry.version) != (PUBLISH, version) for entry in self.history(model)):
                self._record(model, PUBLISH, version, None, reason=f"run {release.run_id}", actor=release.pipeline)
        except OSError as error:
            _log.warning(
                "%s version %d is published, but %s/history.jsonl: %s", model, version, self._uri(model), error
            )

    def _published(self, model: str, publication_key: str) -> Release | None:
        for version in reversed(self.versions(model)):
            try:
                release = self.release(model, version)
            except StoreError:
                continue  # damaged: verify says so; it cannot be told which publication it was
            if release.publication_key == publication_key:
                return release
        return None

    def _allot_locked(self, model: str) -> int:
        with self._lock(model):
            return _folders.allot_version(self._files, model, self.history(model))

    def _uri(self, path: str) -> str:
        return f"{self.uri}/{path}"

    def _unknown(self, model: str, what: str) -> StoreError:
        versions = self.versions(model)
        if not versions:
            known = ", ".join(self.models()) or "none"
            return StoreError(f"there is no model {model!r} in {self.uri}. Known models: {known}.")
        labels = ", ".join(f"{label} -> {version}" for label, version in self.labels(model).items()) or "none"
        return StoreError(f"{model} has no {what}. Known versions: {', '.join(map(str, versions))}; labels: {labels}.")


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """What cannot be read, today or tomorrow, is damage to that one thing; a lost connection is not."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNREADABLE:
            raise
        raise StoreError(
            f"{what} cannot be read: {error.strerror}. Mend its rights, or restore it from a copy."
        ) from error


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
