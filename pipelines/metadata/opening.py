"""Opening a run's metadata store for TFX: a SQLite file beside the artifacts, or the database that the runs share."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
from typing import Any

from tfx.orchestration import metadata

from pipelines.metadata import connecting
from spec import environment as env
from spec.errors import InputError


def open_store(pipeline_root: pathlib.Path) -> Any:
    """MLMD's connection config of this machine's runs: the database that TRAINYARD_METADATA names, else a file in the root.

    A database serves all workloads; a file serves one.

    Raises:
        InputError: the database refuses us or does not exist, or the file is damaged.
    """
    if not os.environ.get(env.METADATA):
        return _open_sqlite(pipeline_root / "metadata.sqlite")
    config = connecting.connection_config()
    # Creates the tables of an empty database, waits for one that is starting, and refuses wrong credentials before any work.
    connecting.connect(config)
    return config


def connection(config: Any) -> metadata.Metadata:
    """TFX's connection to the store that `open_store` opened; waits for a database that is away."""
    return metadata.Metadata(config) if config.HasField("sqlite") else PatientMetadata(config)


class PatientMetadata(metadata.Metadata):
    """A connection that waits while the store is away; TFX's own gives up after about five seconds."""

    def __enter__(self) -> PatientMetadata:
        self._store = connecting.connect(self._connection_config)
        self._users += 1
        return self


def _open_sqlite(path: pathlib.Path) -> Any:
    """MLMD's connection config of a SQLite file, made if it is not there.

    Raises:
        InputError: the file is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_file() and (damage := _damage(path)):
        raise InputError(
            f"{path}: the metadata store is damaged ({damage}). Delete the folder {path.parent} and run again: its "
            "artifacts are made anew; data, releases and the reports of earlier runs lie elsewhere."
        )
    return metadata.sqlite_metadata_connection_config(str(path))


def _damage(path: pathlib.Path) -> str:
    """What SQLite finds wrong with a file; empty if nothing. Not read-only: the journal of a dead writer is rolled back."""
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        return ""  # locked, or the disk is full: not damaged, and MLMD reports it as well
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if verdict == "ok" else str(verdict)
