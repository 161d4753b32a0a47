"""Labels and what happened to them (`history.jsonl`).

The history calls a change of a label's share `share <label>`, and the removal of a label from a bad version `withdraw <label>`.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
from collections.abc import Collection, Mapping, Sequence

from model_store._errors import reading
from model_store._label_file import Label, LabelFile, Labelling
from storage import Files

_LABELS, _HISTORY = "labels.json", "history.jsonl"

STABLE = "stable"
CANARY = "canary"

SHARE = "share"
WITHDRAW = "withdraw"
PUBLISH = "publish"
PROMOTE = "promote"
ROLLBACK = "rollback"
SET = "set"
REMOVE = "remove"
DELETE = "delete"
_MADE_STABLE = (PROMOTE, ROLLBACK, f"{SET} {STABLE}")


@dataclasses.dataclass(frozen=True)
class HistoryEntry:
    """One change of a model's releases.

    Attributes:
        at: ISO 8601, in UTC.
        action: `publish`, `promote`, `rollback`, `set <label>`, `remove <label>` or `delete`.
        version: the version published or deleted, or the one that the label points at now (null: at none).
        previous: the version that the label pointed at before, if any.
        reason: why, in the words of whoever did it.
        actor: who did it: a person, a DAG run, the pipeline.
    """

    at: str
    action: str
    version: int | None
    previous: int | None
    reason: str
    actor: str


def read_labels(files: Files, model: str, file: LabelFile) -> Mapping[str, Label]:
    """What the labels point at, by label; empty when none was ever set."""
    uri = f"{files.uri}/{model}/{_LABELS}"
    try:
        with reading(uri):
            text = files.read(f"{model}/{_LABELS}")
    except FileNotFoundError:
        return {}
    return file.parse(text, uri, model).labels


def remove_labels(files: Files, model: str) -> None:
    """Removes all labels of a model that is about to go."""
    files.remove_file(f"{model}/{_LABELS}")


def read_history(files: Files, model: str) -> list[HistoryEntry]:
    """The entries, oldest first. A line that a crash cut short, or that is no entry, is skipped."""
    try:
        with reading(f"{files.uri}/{model}/{_HISTORY}"):
            return _entries(files.read(f"{model}/{_HISTORY}"))
    except FileNotFoundError:
        return []


class Change:
    """Labels and history of a model as they were read, to be changed together while they are still that.

    Attributes:
        history: as it was read.
    """

    def __init__(self, files: Files, model: str, file: LabelFile) -> None:
        self._files, self._model, self._file = files, model, file
        self._history, self._history_version = self._read(_HISTORY)
        self.history = _entries(self._history)
        self._noted = b""

    @functools.cached_property
    def labels(self) -> dict[str, Label]:
        """To change in place. Raises StoreError: labels.json cannot be followed."""
        text, self._labels_version = self._read(_LABELS)
        self._before = Labelling()
        if self._labels_version is not None:
            self._before = self._file.parse(text, self._labels_uri, self._model)
        return dict(self._before.labels)

    def note(self, action: str, version: int | None, previous: int | None, reason: str, actor: str) -> None:
        """Adds to the history."""
        entry = HistoryEntry(now(), action, version, previous, reason, actor)
        self._noted += json.dumps(dataclasses.asdict(entry)).encode() + b"\n"

    def commit(self, anyhow: bool = False) -> None:
        """Writes what changed, the history first: a process that lost the lock finds the other's entry there and stops.

        Args:
            anyhow: the labels, too, though they are what they were.

        Raises:
            Conflict: another process changed them.
            StoreError: the labels are signed, and we have no key.
        """
        labels = b""
        if anyhow or ("labels" in self.__dict__ and self.labels != self._before.labels):
            labels = self._file.render(self.labels, self._before, self._labels_uri, self._model)
        if self._noted:
            # A line that a crash cut short stays on a line of its own.
            between = b"\n" if self._history[-1:] not in (b"", b"\n") else b""
            text = self._history + between + self._noted
            self._files.swap(f"{self._model}/{_HISTORY}", text, self._history_version)
        if labels:
            self._files.swap(f"{self._model}/{_LABELS}", labels, self._labels_version)

    @property
    def _labels_uri(self) -> str:
        return f"{self._files.uri}/{self._model}/{_LABELS}"

    def _read(self, name: str) -> tuple[bytes, str | None]:
        with reading(f"{self._files.uri}/{self._model}/{name}"):
            return self._files.read_version(f"{self._model}/{name}")


def now() -> str:
    """ISO 8601, in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


def _entries(lines: bytes) -> list[HistoryEntry]:
    entries = []
    for line in lines.splitlines():
        try:
            entry = HistoryEntry(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            continue
        texts = (entry.at, entry.action, entry.reason, entry.actor)
        versions = (entry.version, entry.previous)
        if all(isinstance(t, str) for t in texts) and all(v is None or type(v) is int for v in versions):
            entries.append(entry)
    return entries


def stable_before(history: Sequence[HistoryEntry], current: int, versions: Collection[int]) -> int | None:
    """The stable release to roll back to: the one before the present one.

    A version that was rolled back does not count, else two rollbacks would swap the same two releases for ever; neither
    does one that has since been deleted.

    Example:
        after promoting 1, 2 and 3 and rolling back to 2, the release before is 1, not 3.
    """
    line: list[int] = []
    for entry in history:
        if entry.version is None or entry.action not in _MADE_STABLE:
            continue
        if entry.action == ROLLBACK and entry.version in line:
            del line[line.index(entry.version) :]
        line = [version for version in line if version != entry.version] + [entry.version]
    if current in line:
        del line[line.index(current) :]
    return next((version for version in reversed(line) if version in versions), None)


def stable_by_rollback(history: Sequence[HistoryEntry]) -> HistoryEntry | None:
    """The last change of the stable label, if it was a rollback."""
    moves = [entry for entry in history if entry.action in _MADE_STABLE]
    return moves[-1] if moves and moves[-1].action == ROLLBACK else None


def rolled_back(history: Sequence[HistoryEntry], version: int) -> HistoryEntry | None:
    """The entry by which a version was taken out of service; None if it never was, or became stable again since.

    Taken out: rolled back to another version while it was stable, or withdrawn while it was on trial.
    """
    found = None
    for entry in history:
        if entry.version == version and entry.action in _MADE_STABLE:
            found = None
        elif entry.previous == version and (entry.action == ROLLBACK or entry.action.startswith(f"{WITHDRAW} ")):
            found = entry
    return found
