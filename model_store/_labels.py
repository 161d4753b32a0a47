"""Labels (`labels.json`) and what happened to them (`history.jsonl`)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Sequence

from model_store._errors import StoreError
from model_store._files import Files

STABLE = "stable"
CANARY = "canary"

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


def read_labels(files: Files, path: str) -> dict[str, int]:
    """Label -> version; empty when none was ever set."""
    try:
        text = files.read(path)
    except FileNotFoundError:
        return {}
    try:
        return {str(label): int(version) for label, version in sorted(json.loads(text).items())}
    except (ValueError, AttributeError, TypeError) as error:
        raise StoreError(
            f"{files.uri}/{path} is damaged ({error}). "
            'Write it anew as {"stable": <version>}; history.jsonl beside it says which.'
        ) from None


def write_labels(files: Files, path: str, labels: dict[str, int]) -> None:
    files.write(path, (json.dumps(labels, sort_keys=True) + "\n").encode())


def read_history(files: Files, path: str) -> list[HistoryEntry]:
    """Oldest first. A line that a crash cut short is passed over."""
    try:
        lines = files.read(path).splitlines()
    except FileNotFoundError:
        return []
    entries = []
    for line in lines:
        try:
            entries.append(HistoryEntry(**json.loads(line)))
        except (ValueError, TypeError):
            continue
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
