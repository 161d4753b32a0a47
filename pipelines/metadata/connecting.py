"""Connecting to the database that TRAINYARD_METADATA names, and waiting for it while it is away. Imports no TFX."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import ml_metadata
from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2 as mlmd

import storage
from pipelines.metadata.postgresql import PostgresqlStore
from spec import environment as env
from spec.errors import InputError, database_refuses
from spec.words import one_line

# Seconds to wait for a store that is away; a failover or an upgrade takes one or two minutes.
_PATIENCE_S = 300.0

# Noise in MLMD's log: repetitions, and its own preamble.
_NOISE = re.compile(r"Execution failed|Logging before InitGoogleLogging")
# Errors that a retry would only meet again.
_ANSWERED = re.compile(r"syntax error|invalid (byte sequence|input syntax)|value too long")
Result = TypeVar("Result")


def connection_config(environment: Mapping[str, str] = os.environ) -> mlmd.ConnectionConfig:
    """MLMD's connection config from the environment.

    Raises:
        InputError: the environment names no store, or one that MLMD does not know.
    """
    uri = environment.get(env.METADATA, "")
    parts = urllib.parse.urlsplit(uri)
    config = mlmd.ConnectionConfig()
    if parts.scheme == "sqlite":
        config.sqlite.filename_uri = parts.path
        config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
        return config
    if parts.scheme not in ("postgresql", "mysql") or not parts.hostname or not parts.path.strip("/"):
        raise InputError(
            f"{env.METADATA}: expected postgresql://host:port/database or mysql://host:port/database. Received: {uri.split('@')[-1]!r}"
        )
    user = environment.get(env.METADATA_USER) or urllib.parse.unquote(parts.username or "")
    password = environment.get(env.METADATA_PASSWORD, "")
    database = parts.path.strip("/")
    if parts.scheme == "mysql":
        config.mysql.host, config.mysql.port, config.mysql.database = parts.hostname, parts.port or 3306, database
        config.mysql.user, config.mysql.password = user, password
        config.mysql.skip_db_creation = True
    else:
        postgres = config.postgresql
        postgres.host, postgres.port, postgres.dbname = parts.hostname, str(parts.port or 5432), database
        postgres.user, postgres.password = user, password
        # An administrator creates the database; a node's account need not be able to.
        postgres.skip_db_creation = True
        if mode := dict(urllib.parse.parse_qsl(parts.query)).get("sslmode"):
            postgres.ssloption.sslmode = mode
    return config


class StoreAway(RuntimeError):
    """The metadata store cannot be reached now."""


def connect(config: mlmd.ConnectionConfig) -> Any:
    """A MetadataStore; waits while the database is away.

    Raises:
        InputError: the database refuses the credentials, or does not exist.
    """
    return patiently(lambda: open_once(config))


def open_once(config: mlmd.ConnectionConfig) -> Any:
    """A MetadataStore.

    Raises:
        InputError: the database refuses the credentials, or does not exist.
        StoreAway: it cannot be reached.
    """
    with _standard_error() as said:
        try:
            return (PostgresqlStore if config.HasField("postgresql") else ml_metadata.MetadataStore)(config)
        except (errors.StatusError, RuntimeError) as error:
            problem = error
    message = one_line(said[0] or problem)
    if database_refuses(message):
        raise InputError(
            f"metadata store: {message[:300]}. Check {env.METADATA}, "
            f"{env.METADATA_USER} and {env.METADATA_PASSWORD} (on a cluster: the Secret metadata.secret)."
        ) from problem
    raise StoreAway(message[:300]) from problem


def patiently(work: Callable[[], Result]) -> Result:
    """Repeats `work`, with growing pauses, while it fails because the metadata store is away."""
    patience_s = float(os.environ.get(env.METADATA_PATIENCE_S) or _PATIENCE_S)
    return storage.patiently(work, _is_away, patience_s, "the metadata store")


def _is_away(error: BaseException) -> bool:
    """Whether an error means that the store cannot be reached, rather than that it refuses the query."""
    if isinstance(error, StoreAway | errors.AbortedError | errors.UnavailableError | errors.DeadlineExceededError):
        return True
    # A connection that breaks during a query is an InternalError, and so is a query that the database refuses.
    return isinstance(error, errors.InternalError) and not _ANSWERED.search(str(error))


@contextlib.contextmanager
def _standard_error() -> Iterator[list[str]]:
    """Collects what is written to file descriptor 2: MLMD's PostgreSQL source raises errors without a message, and logs the reason.

    Yields:
        A list whose only item is, afterwards, what the database said.
    """
    said: list[str] = [""]
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            file.seek(0)
            lines = file.read().decode(errors="replace").splitlines()
            # glog's lines start with a letter for the severity; lines without one continue the line before.
            told = [re.sub(r"^E\S* .*?\] ", "", line) for line in lines if not re.match(r"^[IW]\d{4} ", line)]
            said[0] = " ".join(line for line in told if line.strip() and not _NOISE.search(line))
