"""Where the trials of a search are kept: a journal in its folder, a database, or either of them behind a proxy.

Processes of one machine share the journal, a file to which each appends. On several machines the Tuner keeps the trials and answers
for them through Optuna's gRPC proxy; the machines know its address and no password.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any

import grpc
import optuna
import sqlalchemy
from optuna.storages import BaseStorage, GrpcStorageProxy, JournalStorage, RDBStorage
from optuna.storages._grpc import client
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from components.patching import replaced
from components.searched import JOURNAL_FILE
from components.tuner._job import Job
from spec import environment as env
from spec.errors import InputError, TryAgainError, database_refuses
from spec.words import one_line
from storage import exclusive, patiently

PORT = 13000
"""Of the proxy; deploy/kubeflow/components/multi-node opens it to the machines of a search."""
_THREADS = 16
_REACHED_S = 60.0
_DATABASE_PATIENCE_S = 300.0
# A connection that breaks is made again, and what was asked is asked again: whatever a participant asks may be asked twice.
_PATIENCE = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "1s",
                "maxBackoff": "10s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def shared(job: Job) -> BaseStorage:
    """Where whoever takes part in a job finds its trials."""
    return proxy(job.proxy) if job.proxy else journal(job.folder)


def kept(job: Job) -> BaseStorage:
    """Where a search on several machines keeps its trials: the database of TRAINYARD_SEARCH_STORAGE, else a journal.

    Raises:
        InputError: the database cannot be used.
        TryAgainError: it does not answer.
    """
    return database(url) if (url := os.environ.get(env.SEARCH_STORAGE)) else journal(job.folder)


def journal(folder: str | os.PathLike[str]) -> BaseStorage:
    """The journal in a folder, which appears."""
    path = pathlib.Path(folder, JOURNAL_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path), _Lock(path)))


def database(url: str) -> BaseStorage:
    """A database that SQLAlchemy reaches.

    Raises:
        InputError: it cannot be used.
        TryAgainError: it does not answer, or another search makes its tables just now.
    """
    shown = "not a URL"
    try:
        address = sqlalchemy.make_url(url)
        shown = address.render_as_string()
        if address.drivername == "postgresql":  # SQLAlchemy's default for it is psycopg2, which is not installed
            address = address.set(drivername="postgresql+psycopg")
        storage = RDBStorage(
            address.render_as_string(hide_password=False), engine_kwargs={"pool_pre_ping": True, "pool_size": _THREADS}
        )
    except (sqlalchemy.exc.SQLAlchemyError, ImportError, RuntimeError) as error:
        said = one_line(getattr(error, "orig", None) or error.__cause__ or error, 300).replace(url, shown)
        message = f"{env.SEARCH_STORAGE}: the trials cannot be kept there ({said}). Received: {shown}."
        if isinstance(error, sqlalchemy.exc.DBAPIError) and not database_refuses(said):
            raise TryAgainError(f"{message} Try again when it answers.") from None
        raise InputError(f"{message} Expected postgresql://user:password@host/database.") from None
    sqlalchemy.event.listen(storage.engine, "do_connect", _connect)
    return optuna.storages.get_storage(storage)  # with a cache, without which every look reads every trial


def _connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
    """A connection of SQLAlchemy's; waits while the database, which has answered before, is away."""
    return patiently(
        lambda: dialect.connect(*arguments, **options),
        lambda error: isinstance(error, dialect.dbapi.OperationalError) and not database_refuses(str(error)),
        _DATABASE_PATIENCE_S,
        "the database of the search",
    )


def proxy(address: str) -> GrpcStorageProxy:
    """What a Tuner on another machine keeps.

    Raises:
        ConnectionError: nobody answers there.
    """
    host, _, port = address.rpartition(":")
    with _silent(), replaced(client, "create_insecure_channel", _patient_channel):
        found = GrpcStorageProxy(host=host, port=int(port))
    found.wait_server_ready(_REACHED_S)
    return found


def archive(storage: BaseStorage, job: Job) -> BaseStorage:
    """The journal of a search that is over; what was in a database is moved to it."""
    if isinstance(storage, JournalStorage):
        return storage
    pathlib.Path(job.folder, JOURNAL_FILE).unlink(missing_ok=True)
    target = journal(job.folder)
    optuna.copy_study(from_study_name=job.study, from_storage=storage, to_storage=target)
    storage.delete_study(storage.get_study_id_from_name(job.study))
    return target


@contextlib.contextmanager
def served(storage: BaseStorage, host: str) -> Iterator[str]:
    """Answers for a storage meanwhile; yields the address.

    Whoever reaches the port may read and write trials: the proxy asks for no password.
    """
    from optuna.storages._grpc.server import make_server  # `run_grpc_proxy_server` does the same, and never returns

    address = f"[{host}]" if ":" in host else host
    server = make_server(storage, address, PORT, concurrent.futures.ThreadPoolExecutor(_THREADS))
    server.start()
    try:
        yield f"{address}:{PORT}"
    finally:
        server.stop(1).wait()


def _patient_channel(host: str, port: int) -> Any:
    options = [("grpc.service_config", json.dumps(_PATIENCE)), ("grpc.max_receive_message_length", -1)]
    return grpc.insecure_channel(f"{host}:{port}", options=options)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield


class _Lock(JournalFileOpenLock):
    """The journal's, which the kernel lets go when its holder dies: Optuna's own ones make the others wait for half a minute.

    A process that is killed while it writes leaves half a line, after which nobody could read the journal: the next one to write
    removes it.
    """

    def __init__(self, journal: pathlib.Path) -> None:
        super().__init__(str(journal))
        self._journal, self._held = journal, contextlib.ExitStack()

    def acquire(self) -> bool:
        self._held.enter_context(exclusive(self._journal.with_suffix(".lock")))
        with self._journal.open("rb+") as file:
            content_end = file.seek(0, os.SEEK_END)
            if content_end and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self._held.close()
