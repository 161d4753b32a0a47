"""Raw data to look at: the files of a span, files anywhere that fsspec reaches, or a query on a database."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import os
import pathlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa

import storage
from components import progress
from components.ingestion import sources
from components.ingestion.bad_rows import BadRow
from components.ingestion.contract import Column, check_header, columns_of
from components.ingestion.images import unread_images
from components.ingestion.labels import labelled, with_label
from components.ingestion.plain_files import format_of
from components.ingestion.rows import read_rows
from quality.contracts._patience import TookTooLong, within
from spec import environment as env
from spec.errors import LASTING, InputError, TryAgainError
from spec.words import one_line
from spec.workload import Data, Workload

_ATTEMPTS = 3
_WAIT_S = 1.0
_ROWS = 20_000

T = TypeVar("T")


class SourceAway(TryAgainError):
    """A store or a database does not answer; it may later."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What to look at.

    Attributes:
        uri: a file, a folder, a glob pattern, a URL; or with `query` an SQLAlchemy URL.
        format: of files; None: by their name, else the workload's.
        timeout_s: how long the database may take to the next rows of the query.
    """

    uri: str
    query: str | None = None
    format: str | None = None
    timeout_s: float = 600.0

    @property
    def shown(self) -> str:
        """The place without its password, for people."""
        return _url(self.uri).render_as_string(hide_password=True) if self.query else self.uri


@dataclasses.dataclass(frozen=True)
class Piece:
    """Some rows, and those among them that do not fit the schema."""

    batch: pa.RecordBatch
    bad: tuple[BadRow, ...] = ()
    file: str = ""


def columns_for(workload: Workload, schema: Any) -> list[Column]:
    """The columns that a workload's rows must have; its label is read as workload.yaml says."""
    columns, label = columns_of(schema), workload.data.label
    return with_label(columns, schema, label) if label else columns


def read(source: Source, columns: Sequence[Column], data: Data) -> Iterator[Piece]:
    """Yields the rows of a source, typed by the schema and read as a run would.

    Args:
        data: the workload's: which further columns are allowed, the format of files whose name does not say it, whether rows
            without a label are left out.

    Raises:
        InputError: the source cannot be read as it is.
        SourceAway: it does not answer, even after three attempts.
    """
    # The column that names the splits is read by a run, and is no column of the model's.
    further = [*data.ignore, *([data.split.column] if data.split.column else [])]
    pieces = (
        _read_query(source, columns, further)
        if source.query is not None
        else _read_files(source, columns, data, further)
    )
    for piece in pieces:
        label = data.label
        if label and label.drop_unlabelled and label.column in piece.batch.schema.names:
            kept = labelled(piece.batch.column(label.column))
            piece = dataclasses.replace(piece, batch=piece.batch.filter(kept))
        yield piece


def read_folders(source: Source, columns: Sequence[Column]) -> Iterator[Piece]:
    """Yields a row for each image of class folders: its label, and no bytes, since no expectation looks at them.

    Raises:
        InputError: there are no images, or a folder's name is no value of the label.
    """
    span = _insistently(source.uri, lambda: sources.files_at(source.uri, images=True))
    yield Piece(unread_images(span.files, columns).select([column.name for column in columns]))


def _read_files(source: Source, columns: Sequence[Column], data: Data, ignore: Sequence[str]) -> Iterator[Piece]:
    span = _insistently(source.uri, lambda: sources.files_at(source.uri))
    with tempfile.TemporaryDirectory() as scratch, sources.as_hashed(span.files, span.digest):
        for url in span.files:
            copied = _insistently(url, lambda url=url: sources.localize(url, scratch))  # type: ignore[misc]
            format = source.format or format_of(url) or data.format
            shown = url.removeprefix("file://")
            try:
                for rows in read_rows(copied, format, columns, ignore, reading=data.read):
                    yield Piece(rows.batch, rows.bad, shown)
            except InputError as error:
                raise error.renamed(copied, shown) from error


def _insistently(what: str, attempt: Callable[[], T]) -> T:
    """The result, at the third attempt at the latest."""
    try:
        return storage.retrying(_may_pass, _ATTEMPTS, _WAIT_S)(attempt)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{what}: there is no such file or bucket. Check the path.") from None
    except Exception as error:  # each store's client has errors of its own
        if storage.as_refused(error):
            raise InputError(
                f"{what}: {_one_line(error)}. Set the store's credentials in the environment, e.g. AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS or AZURE_STORAGE_CONNECTION_STRING."
            ) from None
        if not _may_pass(error):
            raise
        reason = f"{type(error).__name__}: {one_line(error, 200)}"
        raise SourceAway(f"{what} did not answer {_ATTEMPTS} times ({reason}). Try again later.") from None


def _may_pass(error: BaseException) -> bool:
    lasting = isinstance(error, InputError | FileNotFoundError) or (
        isinstance(error, OSError) and error.errno in LASTING
    )
    return isinstance(error, Exception) and not lasting and not storage.as_refused(error)


def _url(uri: str) -> Any:
    import sqlalchemy as sa

    try:
        url = sa.make_url(uri)
    except sa.exc.ArgumentError:
        raise InputError(
            "--data: with --query it must be an SQLAlchemy URL, e.g. postgresql://user@host/database."
        ) from None
    if url.password is not None:
        raise InputError(
            f"--data {url.render_as_string(hide_password=True)}: holds a password, which every user of this machine can read "
            f"in the list of processes. Put it into {env.SOURCE_PASSWORD}."
        )
    if url.drivername == "postgresql":  # SQLAlchemy's default for it is psycopg2, which is not installed
        url = url.set(drivername="postgresql+psycopg")
    return url


def _read_query(source: Source, columns: Sequence[Column], ignore: Sequence[str]) -> Iterator[Piece]:
    """The query's rows, each batch within `timeout_s`."""
    open_now: list[Any] = []
    given_up = threading.Event()

    def opened(connection: Any) -> None:
        open_now.append(connection)
        if given_up.is_set():  # connecting alone took too long
            raise TookTooLong

    def cancel() -> None:
        """Stops SQLite's and psycopg's connections from outside; others end with this process."""
        given_up.set()
        for connection in open_now:
            raw = connection.connection.driver_connection
            getattr(raw, "interrupt" if hasattr(raw, "interrupt") else "cancel")()

    try:
        for piece in within(source.timeout_s, _query_pieces(source, columns, ignore, opened), cancel):
            progress.rows(piece.batch.num_rows)
            yield piece
    except TookTooLong:
        raise SourceAway(
            f"{source.shown}: no rows of the query came within {source.timeout_s:g} s, and it was cancelled. Try again later, make "
            "the query cheaper, or raise --timeout."
        ) from None


def _query_pieces(
    source: Source, columns: Sequence[Column], ignore: Sequence[str], opened: Callable[[Any], None]
) -> Iterator[Piece]:
    import sqlalchemy as sa

    assert source.query is not None
    url = _url(source.uri)
    if url.get_backend_name() == "sqlite" and url.database and not pathlib.Path(url.database).exists():
        raise InputError(f"--data {source.shown}: there is no such file. SQLite would make an empty database.")
    secret = os.environ.get(env.SOURCE_PASSWORD)
    try:
        engine = sa.create_engine(url.set(password=secret) if secret else url)
    except (ImportError, sa.exc.SQLAlchemyError) as error:
        raise InputError(f"--data {source.shown}: {_one_line(error)}. Name a database whose driver is there.") from None
    try:
        with _insistently(source.shown, lambda: _connect(engine, source.shown)) as connection:
            opened(connection)
            try:
                streamed = connection.execution_options(stream_results=True, max_row_buffer=_ROWS)
                found = streamed.execute(sa.text(source.query))
                if not found.returns_rows:
                    raise InputError("--query: gives no rows; a SELECT is wanted.")
                names = list(found.keys())
                check_header(source.shown, names, list(columns), ignore)
                for part in found.partitions(_ROWS):
                    yield Piece(_typed(part, names, columns))
            except sa.exc.DBAPIError as error:
                if error.connection_invalidated:
                    raise SourceAway(f"{source.shown} went away while it was read. Try again later.") from None
                raise InputError(f"--query: {source.shown} refuses it: {_one_line(error.orig)}") from None
    finally:
        engine.dispose()


def _connect(engine: Any, shown: str) -> Any:
    import sqlalchemy as sa

    try:
        connection = engine.connect()
        # A check only reads: the database refuses anything else in the query.
        if engine.dialect.name == "postgresql":
            return connection.execution_options(postgresql_readonly=True)
        if engine.dialect.name == "sqlite":
            connection.execute(sa.text("PRAGMA query_only = ON"))
        return connection
    except sa.exc.DBAPIError as error:
        reason = _one_line(error.orig)
        if any(sign in reason for sign in ("authentication", "does not exist", "password", "permission denied")):
            raise InputError(
                f"--data {shown}: {reason}. Check user and database, and set {env.SOURCE_PASSWORD} to the password."
            ) from None
        raise ConnectionError(reason) from None


def _typed(rows: Sequence[Any], names: Sequence[str], columns: Sequence[Column]) -> pa.RecordBatch:
    arrays = []
    by_name = dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}
    for column in columns:
        values = [_plain(value, column.type) for value in by_name.get(column.name, (None,) * len(rows))]
        try:
            array = pa.array(values, column.type)
            arrays.append(column.rewrite(array) if column.rewrite else array)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
            raise InputError(
                f"--query: column {column.name!r} must be {column.type}: {_one_line(error)}. Cast it in the query."
            ) from None
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def _plain(value: Any, kind: pa.DataType) -> Any:
    """A database's value in the form that a file would have."""
    if value is None:
        return None
    if pa.types.is_floating(kind) and isinstance(value, decimal.Decimal | int):
        return float(value)
    if pa.types.is_integer(kind) and (
        isinstance(value, bool) or (isinstance(value, decimal.Decimal) and value % 1 == 0)
    ):
        return int(value)
    if pa.types.is_string(kind):
        if isinstance(value, datetime.datetime | datetime.date | datetime.time):
            return value.isoformat()
        return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    return value


def _one_line(error: Any) -> str:
    return one_line(error, 300).rstrip(".")
