"""What MLMD's SQLite file knows of runs and artifacts. MLMD itself can delete nothing, so this speaks to its tables.

Tables of schema version 10; another version is only read by MLMD, and left alone here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sqlite3
from collections.abc import Collection, Iterator

SCHEMA_VERSION = 10
_DELETED = 4  # ml_metadata.Artifact.DELETED
_OUTPUT = 4  # ml_metadata.Event.OUTPUT


@dataclasses.dataclass(frozen=True)
class Old:
    """Ids of what only old runs know, and the URIs of those artifacts."""

    contexts: frozenset[int]
    executions: frozenset[int]
    artifacts: dict[int, str]


def run_ids(file: pathlib.Path) -> list[str]:
    """The runs that the metadata knows, as far as its tables can be read."""
    with _opened(file) as db:
        return [name for (name,) in db.execute(_RUNS)] if db is not None else []


def find(file: pathlib.Path, old_runs: Collection[str]) -> Old | None:
    """What belongs to old runs and to no other; None where the tables are not those that are known here.

    An artifact that a younger run has taken from the cache stays, and so does the execution that made it.
    """
    with _opened(file) as db:
        if db is None:
            return None
        contexts = {i for i, name in db.execute(_RUNS_WITH_ID) if name in set(old_runs)}
        run_of: dict[int, set[int]] = {}
        for context, execution in db.execute(
            f"SELECT context_id, execution_id FROM Association WHERE context_id IN ({_RUN_IDS})"  # noqa: S608
        ):
            run_of.setdefault(execution, set()).add(context)
        ours = {execution for execution, runs in run_of.items() if runs <= contexts}
        events = db.execute("SELECT artifact_id, execution_id, type FROM Event").fetchall()
        kept = {artifact for artifact, execution, _ in events if execution not in ours}
        makers = {execution for artifact, execution, kind in events if kind == _OUTPUT and artifact in kept}
        known = {artifact for artifact, _, _ in events}
        uris = {i: uri or "" for i, uri in db.execute("SELECT id, uri FROM Artifact") if i in known and i not in kept}
        return Old(frozenset(contexts), frozenset(ours - makers), uris)


def mark_deleted(file: pathlib.Path, old: Old) -> None:
    """Marks the artifacts first: from then on no cache answers with them, whatever becomes of their files."""
    with _opened(file) as db:
        if db is not None:
            _for_ids(db, f"UPDATE Artifact SET state = {_DELETED} WHERE id = ?", old.artifacts)  # noqa: S608


def forget(file: pathlib.Path, old: Old) -> None:
    """Removes the rows, in one transaction, and gives the space back."""
    with _opened(file) as db:
        if db is None:
            return
        for table, column, ids in (
            ("EventPath", "event_id IN (SELECT id FROM Event WHERE execution_id = ?)", old.executions),
            ("EventPath", "event_id IN (SELECT id FROM Event WHERE artifact_id = ?)", old.artifacts),
            ("Event", "execution_id = ?", old.executions),
            ("Event", "artifact_id = ?", old.artifacts),
            ("ExecutionProperty", "execution_id = ?", old.executions),
            ("Association", "execution_id = ?", old.executions),
            ("Execution", "id = ?", old.executions),
            ("ArtifactProperty", "artifact_id = ?", old.artifacts),
            ("Attribution", "artifact_id = ?", old.artifacts),
            ("Artifact", "id = ?", old.artifacts),
            ("Association", "context_id = ?", old.contexts),
            ("Attribution", "context_id = ?", old.contexts),
            ("ContextProperty", "context_id = ?", old.contexts),
            ("ParentContext", "context_id = ?", old.contexts),
            ("Context", "id = ?", old.contexts),
        ):
            _for_ids(db, f"DELETE FROM {table} WHERE {column}", ids)  # noqa: S608
        db.commit()
        db.execute("VACUUM")


_OF_RUNS = "FROM Context JOIN Type ON Type.id = Context.type_id WHERE Type.name = 'pipeline_run'"
_RUNS = f"SELECT Context.name {_OF_RUNS}"
_RUNS_WITH_ID = f"SELECT Context.id, Context.name {_OF_RUNS}"
_RUN_IDS = f"SELECT Context.id {_OF_RUNS}"


@contextlib.contextmanager
def _opened(file: pathlib.Path) -> Iterator[sqlite3.Connection | None]:
    """The database, if it is there and its tables are known; what is written is committed at the end."""
    if not file.is_file():
        yield None
        return
    with contextlib.closing(sqlite3.connect(file, timeout=60)) as db:
        try:
            version = db.execute("SELECT schema_version FROM MLMDEnv").fetchone()
        except sqlite3.DatabaseError:
            version = None  # damaged, or empty: the next run says so
        if version != (SCHEMA_VERSION,):
            yield None
            return
        yield db
        db.commit()


def _for_ids(db: sqlite3.Connection, statement: str, ids: Collection[int]) -> None:
    db.executemany(statement, [(i,) for i in ids])
