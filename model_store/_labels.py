"""Labels (`labels.json`) and what happened to them (`history.jsonl`).

A label is written as its version, `{"stable": 3}`; one that gets a share of the requests that name no version as
`{"canary": {"version": 4, "share": 0.05}}`. The history names changes of a share `share <label>`, and labels that were taken
away because the version did not do `withdraw <label>`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from model_store._errors import StoreError
from model_store._files import Files

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


@dataclasses.dataclass(frozen=True)
class Label:
    """Where a label points.

    Attributes:
        share: of the requests that name neither version nor label, how many the version answers (0 to 1). The stable
            version answers the rest.
    """

    version: int
    share: float = 0.0


def read_labels(files: Files, path: str) -> dict[str, Label]:
    """What the labels point at, by label; empty when none was ever set."""
    try:
        text = files.read(path)
    except FileNotFoundError:
        return {}
    try:
        return {str(label): _label(said) for label, said in sorted(json.loads(text).items())}
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        why = "it is empty" if not text.strip() else str(error)
        raise StoreError(
            f"{files.uri}/{path} is damaged ({why}). "
            'Write it anew as {"stable": <version>}; history.jsonl beside it says which.'
        ) from None


def _label(said: Any) -> Label:
    version, share = (said["version"], said["share"]) if isinstance(said, dict) else (said, 0.0)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ValueError(f"a version is a whole number from 1 on. Received: {version!r}")
    if not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1. Received: {share!r}")
    return Label(version, float(share))


def write_labels(files: Files, path: str, labels: Mapping[str, Label]) -> None:
    # Without a share a label is a plain number, as it was before there were shares: older readers understand it.
    said = {name: dataclasses.asdict(label) if label.share else label.version for name, label in labels.items()}
    files.write(path, (json.dumps(said, sort_keys=True) + "\n").encode())


def read_history(files: Files, path: str) -> list[HistoryEntry]:
    """Oldest first. A line that a crash cut short, or that says no such thing, is passed over."""
    try:
        lines = files.read(path).splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        try:
            entry = HistoryEntry(**json.loads(line))
        except (ValueError, TypeError, RecursionError):
            continue
        texts = (entry.at, entry.action, entry.reason, entry.actor)
        versions = (entry.version, entry.previous)
        if all(isinstance(t, str) for t in texts) and all(v is None or type(v) is int for v in versions):
            entries.append(entry)
    return entries


def append_history(files: Files, path: str, entry: HistoryEntry) -> None:
    files.append_line(path, json.dumps(dataclasses.asdict(entry)))


def stable_before(history: Sequence[HistoryEntry], current: int, versions: Collection[int]) -> int | None:
    """The stable release to roll back to: the one before the present one.

    A version that was rolled back does not count, else two rollbacks would swap the same two releases for ever; neither
    does one that has since been deleted.

    Example:
        after promoting 1, 2 and 3 and rolling back to 2, the release before is 1, not 3.
    """
    line: list[int] = []
    for entry in history:
        if entry.version is None or entry.action not in (PROMOTE, ROLLBACK, f"{SET} {STABLE}"):
            continue
        if entry.action == ROLLBACK and entry.version in line:
            del line[line.index(entry.version) :]
        line = [version for version in line if version != entry.version] + [entry.version]
    if current in line:
        del line[line.index(current) :]
    return next((version for version in reversed(line) if version in versions), None)


def rolled_back(history: Sequence[HistoryEntry], version: int) -> HistoryEntry | None:
    """The entry by which a version was taken out of service; None if it never was, or became stable again since.

    Taken out: rolled back to another version while it was stable, or withdrawn while it was on trial.
    """
    found = None
    for entry in history:
        if entry.version == version and entry.action in (PROMOTE, ROLLBACK, f"{SET} {STABLE}"):
            found = None
        elif entry.previous == version and (entry.action == ROLLBACK or entry.action.startswith(f"{WITHDRAW} ")):
            found = entry
    return found
