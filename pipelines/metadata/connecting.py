"""The shared metadata store, and the patience that a network asks for."""

from __future__ import annotations

import contextlib
import os
import random
import re
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import ml_metadata
from ml_metadata import errors
from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipelines.metadata.patience import PostgresqlStore
from spec import environment as env
from spec.errors import InputError

# Seconds that a store may be away; a database that is failed over or upgraded is back in one or two minutes.
_PATIENCE_S = 300.0
_LONGEST_PAUSE_S = 15.0

# Property of an execution: what a failure said that a retry would only meet again, and when.
NEVER_RETRY = "trainyard_never_retry"
NEVER_RETRY_AT = "trainyard_never_retry_at"
# KFP starts a failed pod again within minutes. A person who mended the input and presses "Retry" comes later.
NEVER_RETRY_HOLDS_S = 900

# What PostgreSQL and MySQL say of credentials and names. Not any "does not exist": of two nodes that find an empty database,
# one makes the tables, and the other fails over a relation that does not exist yet.
_REFUSED = re.compile(
    r"password authentication failed|access denied|no pg_hba.conf entry|no password supplied|unknown database"
    r"|(database|role) \"[^\"]*\" does not exist",
    re.IGNORECASE,
)
# What MLMD repeats, and what its log says of itself, once a process.
_NOISE = re.compile(r"Execution failed|Logging before InitGoogleLogging")
# What asking again would be answered with again.
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
        # The database is made by whoever runs it; a node's account need not be able to.
        postgres.skip_db_creation = True
        if mode := dict(urllib.parse.parse_qsl(parts.query)).get("sslmode"):
            postgres.ssloption.sslmode = mode
    return config


class StoreAway(RuntimeError):
    """The metadata store cannot be reached now."""


def connect(config: mlmd.ConnectionConfig) -> Any:
    """A MetadataStore, waited for while the database is away.

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
            return _client(config)(config)
        except (errors.StatusError, RuntimeError) as error:
            problem = error
    message = " ".join(said[0].split()) or " ".join(str(problem).split())
    if _REFUSED.search(message):
        raise InputError(
            f"metadata store: {message[:300]}. Check {env.METADATA}, "
            f"{env.METADATA_USER} and {env.METADATA_PASSWORD} (on a cluster: the Secret metadata.secret)."
        ) from problem
    raise StoreAway(message[:300]) from problem


def _client(config: mlmd.ConnectionConfig) -> Any:
    return PostgresqlStore if config.HasField("postgresql") else ml_metadata.MetadataStore


def patiently(work: Callable[[], Result]) -> Result:
    """Does `work` again while it fails because the metadata store is away; the pauses grow."""
    deadline = time.monotonic() + float(os.environ.get(env.METADATA_PATIENCE_S) or _PATIENCE_S)
    pause = 0.5
    while True:
        try:
            return work()
        except (errors.StatusError, StoreAway) as error:
            if not _is_away(error) or time.monotonic() >= deadline:
                raise
            print(f"the metadata store is away, trying again: {' '.join(str(error).split())[:160]}", flush=True)
        time.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311
        pause = min(2 * pause, _LONGEST_PAUSE_S)


def _is_away(error: Exception) -> bool:
    """Whether an error means that the store cannot be reached, rather than that it cannot do what was asked."""
    if isinstance(error, StoreAway | errors.AbortedError | errors.UnavailableError | errors.DeadlineExceededError):
        return True
    # What a broken connection comes to in the middle of a query; and a query that the database has read and refused.
    return isinstance(error, errors.InternalError) and not _ANSWERED.search(str(error))


@contextlib.contextmanager
def _standard_error() -> Iterator[list[str]]:
    """Collects what is written to file descriptor 2: MLMD's PostgreSQL source raises an error without a message, and logs why.

    Yields:
        A list whose one item is, afterwards, what the database said.
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
            # glog's lines start with a letter for the severity; what follows a line of its own belongs to it.
            told = [re.sub(r"^E\S* .*?\] ", "", line) for line in lines if not re.match(r"^[IW]\d{4} ", line)]
            said[0] = " ".join(line for line in told if line.strip() and not _NOISE.search(line))


class RunExecutions:
    """The executions of one node in one run, as MLMD has them. There is at most one."""

    def __init__(self, config: mlmd.ConnectionConfig, run_id: str, node_context: str) -> None:
        self._config, self._run_id, self._node = config, run_id, node_context

    def find(self, store: Any) -> mlmd.Execution | None:
        """The execution that an earlier attempt registered, if there was one."""
        run = store.get_context_by_type_and_name("pipeline_run", self._run_id)
        if run is None:
            return None
        for execution in store.get_executions_by_context(run.id):
            if any(context.name == self._node for context in store.get_contexts_by_execution(execution.id)):
                return execution  # type: ignore[no-any-return]
        return None

    def never_retry(self) -> str | None:
        """What an earlier attempt of this very pod failed with, if a retry can only fail again."""

        def look() -> str | None:
            execution = self.find(open_once(self._config))
            if execution is None or NEVER_RETRY not in execution.custom_properties:
                return None
            age = time.time() - execution.custom_properties[NEVER_RETRY_AT].int_value
            return execution.custom_properties[NEVER_RETRY].string_value if age < NEVER_RETRY_HOLDS_S else None

        return patiently(look)

    def set_never_retry(self, message: str) -> None:
        """Notes that trying again is no use."""

        def note() -> None:
            store = open_once(self._config)
            if (execution := self.find(store)) is not None:
                execution.custom_properties[NEVER_RETRY].string_value = message
                execution.custom_properties[NEVER_RETRY_AT].int_value = int(time.time())
                store.put_executions([execution])

        patiently(note)
