"""Deletes runs and artifacts from MLMD's tables. MLMD itself can delete nothing, so this talks to its database.

Knows tables of schema version 10, in SQLite or PostgreSQL; another version, or MySQL, is left alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from spec import environment as env
from spec.errors import InputError
from spec.words import one_line

if TYPE_CHECKING:
    import sqlalchemy

SCHEMA_VERSION = 10
_DELETED = 4  # ml_metadata.Artifact.DELETED
_OUTPUT = 4  # ml_metadata.Event.OUTPUT


@dataclasses.dataclass(frozen=True)
class Old:
    """Ids of what belongs to old runs alone, and the URIs of those artifacts."""

    contexts: frozenset[int]
    executions: frozenset[int]
    artifacts: dict[int, str]


def is_shared() -> bool:
    """Whether one database serves all workloads, and other machines too."""
    return bool(os.environ.get(env.METADATA))


def run_ids(root: pathlib.Path) -> list[str]:
    """The runs in the metadata beside a workload's artifacts; none for a shared database, whose runs may be another machine's."""
    if is_shared():
        return []
    with _opened(root) as db:
        return [name for (name,) in _rows(db, _RUNS)] if db is not None else []


def find(root: pathlib.Path, old_runs: Collection[str]) -> Old | None:
    """What belongs to old runs and to no other; None if the tables are of an unknown version.

    An artifact that a younger run took from the cache is kept, and so is the execution that produced it.
    """
    with _opened(root) as db:
        if db is None:
            return None
        contexts = {i for i, name in _rows(db, _RUNS_WITH_ID) if name in set(old_runs)}
        run_of: dict[int, set[int]] = {}
        for context, execution in _rows(
            db,
            f"SELECT context_id, execution_id FROM Association WHERE context_id IN ({_RUN_IDS})",  # noqa: S608
        ):
            run_of.setdefault(execution, set()).add(context)
        ours = {execution for execution, runs in run_of.items() if runs <= contexts}
        events = _rows(db, "SELECT artifact_id, execution_id, type FROM Event")
        kept = {artifact for artifact, execution, _ in events if execution not in ours}
        makers = {execution for artifact, execution, kind in events if kind == _OUTPUT and artifact in kept}
        known = {artifact for artifact, _, _ in events}
        uris = {i: uri or "" for i, uri in _rows(db, "SELECT id, uri FROM Artifact") if i in known and i not in kept}
        return Old(frozenset(contexts), frozenset(ours - makers), uris)


def mark_deleted(root: pathlib.Path, old: Old) -> None:
    """Marks the artifacts as deleted: from then on the cache does not use them, whatever happens to their files."""
    with _opened(root) as db:
        if db is not None:
            _for_ids(db, f"UPDATE Artifact SET state = {_DELETED} WHERE id = :id", old.artifacts)  # noqa: S608


def forget(root: pathlib.Path, old: Old) -> None:
    """Removes the rows in one transaction, and frees the space."""
    with _opened(root) as db:
        if db is None:
            return
        for table, column, ids in (
            ("EventPath", "event_id IN (SELECT id FROM Event WHERE execution_id = :id)", old.executions),
            ("EventPath", "event_id IN (SELECT id FROM Event WHERE artifact_id = :id)", old.artifacts),
            ("Event", "execution_id = :id", old.executions),
            ("Event", "artifact_id = :id", old.artifacts),
            ("ExecutionProperty", "execution_id = :id", old.executions),
            ("Association", "execution_id = :id", old.executions),
            ("Execution", "id = :id", old.executions),
            ("ArtifactProperty", "artifact_id = :id", old.artifacts),
            ("Attribution", "artifact_id = :id", old.artifacts),
            ("Artifact", "id = :id", old.artifacts),
            ("Association", "context_id = :id", old.contexts),
            ("Attribution", "context_id = :id", old.contexts),
            ("ContextProperty", "context_id = :id", old.contexts),
            ("ParentContext", "context_id = :id", old.contexts),
            ("Context", "id = :id", old.contexts),
        ):
            _for_ids(db, f"DELETE FROM {table} WHERE {column}", ids)  # noqa: S608
        db.commit()
        if db.dialect.name == "sqlite":  # PostgreSQL does it by itself
            db.exec_driver_sql("VACUUM")


_OF_RUNS = "FROM Context JOIN Type ON Type.id = Context.type_id WHERE Type.name = 'pipeline_run'"
_RUNS = f"SELECT Context.name {_OF_RUNS}"
_RUNS_WITH_ID = f"SELECT Context.id, Context.name {_OF_RUNS}"
_RUN_IDS = f"SELECT Context.id {_OF_RUNS}"


@contextlib.contextmanager
def _opened(root: pathlib.Path) -> Iterator[sqlalchemy.Connection | None]:
    """The database, if it exists and its tables are known; changes are committed at the end.

    Raises:
        InputError: the shared database cannot be reached.
    """
    engine = _shared_engine() if is_shared() else _file_engine(root / "metadata.sqlite")
    if engine is None:
        yield None
        return
    try:
        with engine.connect() as db:
            if not _is_known(db):
                yield None
                return
            yield db
            db.commit()
    finally:
        engine.dispose()


def _is_known(db: sqlalchemy.Connection) -> bool:
    from sqlalchemy.exc import DatabaseError

    try:
        versions = _rows(db, "SELECT schema_version FROM MLMDEnv")
    except DatabaseError:  # damaged, or empty: the next run says so
        db.rollback()
        return False
    return versions == [(SCHEMA_VERSION,)]


def _file_engine(file: pathlib.Path) -> sqlalchemy.Engine | None:
    import sqlalchemy

    if not file.is_file():
        return None
    return sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(file)), connect_args={"timeout": 60}, poolclass=sqlalchemy.NullPool
    )


def _shared_engine() -> sqlalchemy.Engine | None:
    """The database that TRAINYARD_METADATA names; None for MySQL, whose driver is not here."""
    import sqlalchemy

    from pipelines.metadata import connecting  # every command's parser is built with this module loaded

    config = connecting.connection_config()
    if config.HasField("sqlite"):
        return _file_engine(pathlib.Path(config.sqlite.filename_uri))
    if not config.HasField("postgresql"):
        return None
    named = config.postgresql
    url = sqlalchemy.URL.create(
        "postgresql+psycopg", named.user or None, named.password or None, named.host, int(named.port), named.dbname
    )
    options = {"connect_timeout": 30} | ({"sslmode": named.ssloption.sslmode} if named.ssloption.sslmode else {})
    engine = sqlalchemy.create_engine(url, connect_args=options, poolclass=sqlalchemy.NullPool)
    try:
        engine.connect().close()
    except sqlalchemy.exc.OperationalError as error:
        said = one_line(error.orig, 300)
        raise InputError(f"{env.METADATA}: the metadata store cannot be reached: {said}") from None
    return engine


def _rows(db: sqlalchemy.Connection, statement: str) -> list[tuple]:
    return [tuple(row) for row in db.exec_driver_sql(statement)]


def _for_ids(db: sqlalchemy.Connection, statement: str, ids: Collection[int]) -> None:
    import sqlalchemy

    if ids:
        db.execute(sqlalchemy.text(statement), [{"id": i} for i in ids])
