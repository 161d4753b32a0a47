"""Writes and reads the history through SQLAlchemy: SQLite on one machine, PostgreSQL where several share it."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from components.gates import Verdict
from quality.history import _tables as tables
from quality.history._records import OF_MODELS, Change, Check, Column, Outcome, Release, Validation
from spec import environment as env
from spec import home
from spec.errors import InputError

_AT_ONCE = 1_000
"""Ids per query: databases limit them."""


class HistoryError(InputError):
    """The store cannot be used."""


def default_url() -> str:
    """TRAINYARD_HISTORY (an SQLAlchemy URL), else a SQLite file in the home."""
    return os.environ.get(env.HISTORY) or f"sqlite:///{home.home() / 'quality.sqlite'}"


def is_there() -> bool:
    """Whether a history may exist; opening one would create its SQLite file."""
    path = default_url().removeprefix("sqlite:///")
    return "://" in path or pathlib.Path(path).exists()


class History:
    """All validations of all workloads.

    Example:

        with History.open("sqlite:////srv/quality.sqlite") as history:
            history.record(validation)
            newest = history.newest("taxi")
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str | None = None) -> History:
        """Connects, and creates the tables on first use.

        Raises:
            HistoryError: the URL cannot be used, or a newer Trainyard wrote the store.
        """
        url = url or default_url()
        shown = url
        try:
            address = sa.make_url(url)
            shown = address.render_as_string(hide_password=True)
            if address.drivername == "postgresql":  # SQLAlchemy's default for it is psycopg2, which is not installed
                address = address.set(drivername="postgresql+psycopg")
            if address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:"):
                pathlib.Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)
            engine = sa.create_engine(address, pool_pre_ping=True)
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _prepare_sqlite)
            tables.METADATA.create_all(engine)
            _check_version(engine)
            tables.bring_up_to_date(engine)
        except (SQLAlchemyError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0] if "://" in shown else "not an SQLAlchemy URL"
            raise HistoryError(
                f"the history of data quality, {shown}, cannot be opened: {reason}. Mend {env.HISTORY}, e.g. "
                "sqlite:////srv/trainyard/quality.sqlite or postgresql://user@host/database."
            ) from None
        return cls(engine)

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._engine.dispose()

    def record(self, validation: Validation, release: Release | None = None) -> None:
        """Writes a validation in one transaction; replaces one of the same id."""
        rows = {name: _rows(validation.id, getattr(validation, name)) for name in tables.PARTS}
        with self._engine.begin() as connection:
            for table in tables.PARTS.values():
                connection.execute(sa.delete(table).where(table.c.validation_id == validation.id))
            connection.execute(sa.delete(tables.VALIDATIONS).where(tables.VALIDATIONS.c.id == validation.id))
            connection.execute(sa.insert(tables.VALIDATIONS), [_row(validation, leave_out=tuple(tables.PARTS))])
            for name, table in tables.PARTS.items():
                if rows[name]:
                    connection.execute(sa.insert(table), rows[name])
            if release is not None:
                _put_release(connection, release)

    def record_releases(self, releases: Iterable[Release]) -> None:
        """Writes releases; known ones are updated."""
        with self._engine.begin() as connection:
            for release in releases:
                _put_release(connection, release)

    def forget(self, workload: str) -> None:
        """Deletes everything about a workload, in one transaction."""
        ids = sa.select(tables.VALIDATIONS.c.id).where(tables.VALIDATIONS.c.workload == workload)
        with self._engine.begin() as connection:
            for table in tables.PARTS.values():
                connection.execute(sa.delete(table).where(table.c.validation_id.in_(ids)))
            for table in (tables.VALIDATIONS, tables.RELEASES):
                connection.execute(sa.delete(table).where(table.c.workload == workload))

    @property
    def url(self) -> str:
        """For opening this history in another process. Holds the password: never print it."""
        return self._engine.url.render_as_string(hide_password=False)

    def count(self, workloads: Sequence[str]) -> int:
        """How many validations some workloads have."""
        table = tables.VALIDATIONS
        query = sa.select(sa.func.count()).select_from(table).where(table.c.workload.in_(workloads))
        with self._engine.connect() as connection:
            return int(connection.scalar(query) or 0)

    def workloads(self) -> list[str]:
        """The workloads that have a validation, sorted by name."""
        name = tables.VALIDATIONS.c.workload
        with self._engine.connect() as connection:
            return list(connection.scalars(sa.select(name).distinct().order_by(name)))

    def validations(self, workload: str | None = None, limit: int | None = None) -> list[Validation]:
        """Newest first, without their checks, columns and changes (`load` has those)."""
        table = tables.VALIDATIONS
        query = sa.select(table).order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit)
        if workload is not None:
            query = query.where(table.c.workload == workload)
        return [_validation(row) for row in self._all(query)]

    def newest_of_spans(self, limit: int) -> list[Validation]:
        """The newest validation of each of the last spans of every workload, newest first, without their parts.

        Args:
            limit: of spans per workload. For data without spans, of validations.
        """
        table = tables.VALIDATIONS
        newest_first: tuple[Any, ...] = (sa.desc("created_at"), sa.desc("id"))
        span = sa.func.coalesce(sa.cast(table.c.span, sa.String), table.c.id)
        again = sa.func.row_number().over(partition_by=[table.c.workload, span], order_by=newest_first)
        once = sa.select(table, again.label("again")).where(table.c.source.not_in(OF_MODELS)).subquery()
        last_first = (sa.func.coalesce(once.c.span, -1).desc(), *newest_first)
        nth = sa.func.row_number().over(partition_by=once.c.workload, order_by=last_first)
        counted = sa.select(once, nth.label("nth")).where(once.c.again == 1).subquery()
        query = sa.select(counted).where(counted.c.nth <= limit).order_by(*newest_first)
        return [_validation(row) for row in self._all(query)]

    def newest_of_models(self) -> list[Validation]:
        """The newest validations of each workload's model in use, one of each of OF_MODELS, without their parts."""
        table = tables.VALIDATIONS
        nth = sa.func.row_number().over(
            partition_by=(table.c.workload, table.c.source), order_by=(table.c.created_at.desc(), table.c.id.desc())
        )
        ranked = sa.select(table, nth.label("nth")).where(table.c.source.in_(OF_MODELS)).subquery()
        return [_validation(row) for row in self._all(sa.select(ranked).where(ranked.c.nth == 1))]

    def newest(self, workload: str) -> Validation | None:
        """The newest validation of a workload, with its parts."""
        found = self.validations(workload, limit=1)
        return self.load(found[0].id) if found else None

    def load(self, validation_id: str) -> Validation | None:
        """A validation with its parts; None if the id is unknown."""
        rows = self._all(sa.select(tables.VALIDATIONS).where(tables.VALIDATIONS.c.id == validation_id))
        if not rows:
            return None
        parts = {
            name: self._all(sa.select(part).where(part.c.validation_id == validation_id).order_by(part.c.nth))
            for name, part in tables.PARTS.items()
        }
        return dataclasses.replace(
            _validation(rows[0]),
            checks=tuple(Check(**_fields(Check, one)) for one in parts["checks"]),
            columns=tuple(_column(one) for one in parts["columns"]),
            changes=tuple(Change(**_fields(Change, one)) for one in parts["changes"]),
        )

    def columns_over_time(self, workload: str) -> Iterator[tuple[str, Column]]:
        """(validation id, column) of all validations of a workload, without histograms and most frequent values."""
        table, validations = tables.COLUMNS, tables.VALIDATIONS
        light = [c for c in table.c if c.name not in ("histogram", "top_values")]
        query = sa.select(*light).join(validations).where(validations.c.workload == workload)
        with self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                yield row["validation_id"], _column({**row, "histogram": (), "top_values": ()})

    def changes_over_time(self, workload: str) -> Iterator[tuple[str, Change]]:
        """(validation id, change) of all validations of a workload."""
        # By position, for speed: a year of a workload has tens of thousands of changes.
        fields = [tables.CHANGES.c[field.name] for field in dataclasses.fields(Change)]
        query = sa.select(tables.CHANGES.c.validation_id, *fields).select_from(tables.CHANGES).join(tables.VALIDATIONS)
        with self._engine.connect() as connection:
            for row in connection.execute(query.where(tables.VALIDATIONS.c.workload == workload)):
                yield row[0], Change(*row[1:])

    def checks_over_time(self, workload: str, gate: str) -> Iterator[tuple[str, Check]]:
        """(validation id, check) of a gate in all validations of a workload, oldest first."""
        table, validations = tables.CHECKS, tables.VALIDATIONS
        query = sa.select(table).join(validations).where(validations.c.workload == workload, table.c.gate == gate)
        query = query.order_by(validations.c.created_at, validations.c.id, table.c.nth)
        with self._engine.connect() as connection:
            for row in connection.execute(query).mappings():
                yield row["validation_id"], Check(**_fields(Check, row))

    def failures(self, validation_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """Counts of checks that neither pass nor are waived: validation id -> severity, or `not judged` -> how many."""
        table = tables.CHECKS
        failed = sa.not_(table.c.passes) & (table.c.waiver == "")
        kind = sa.case((table.c.judged, table.c.severity), else_=str(Verdict.NOT_JUDGED))
        found: dict[str, dict[str, int]] = {}
        with self._engine.connect() as connection:
            for start in range(0, len(validation_ids), _AT_ONCE):
                query = (
                    sa.select(table.c.validation_id, kind, sa.func.count())
                    .where(failed, table.c.validation_id.in_(validation_ids[start : start + _AT_ONCE]))
                    .group_by(table.c.validation_id, kind)
                )
                for validation_id, which, many in connection.execute(query):
                    found.setdefault(validation_id, {})[which] = int(many)
        return found

    def releases(self, workload: str) -> list[Release]:
        """Oldest first."""
        table = tables.RELEASES
        query = sa.select(table).where(table.c.workload == workload).order_by(table.c.version)
        return [Release(**_fields(Release, row)) for row in self._all(query)]

    def _all(self, query: sa.Select) -> Sequence[sa.RowMapping]:
        with self._engine.connect() as connection:
            return connection.execute(query).mappings().all()


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA busy_timeout = 30000")  # runs of several workloads end at the same time
    with contextlib.suppress(Exception):  # a file system without shared memory keeps the rollback journal
        connection.execute("PRAGMA journal_mode = WAL")


def _check_version(engine: sa.Engine) -> None:
    query = sa.select(tables.SCHEMA_VERSION.c.version)
    with contextlib.suppress(IntegrityError), engine.begin() as connection:  # another process may be first
        if connection.scalars(query).one_or_none() is None:
            connection.execute(sa.insert(tables.SCHEMA_VERSION).values(version=tables.VERSION))
    with engine.connect() as connection:
        found = connection.scalars(query).one()
        if found > tables.VERSION:
            raise ValueError(f"a newer Trainyard wrote it (schema version {found}; this one knows {tables.VERSION})")


def _put_release(connection: sa.Connection, release: Release) -> None:
    table = tables.RELEASES
    connection.execute(sa.delete(table).where(table.c.workload == release.workload, table.c.version == release.version))
    connection.execute(sa.insert(table), [_row(release)])


def _rows(validation_id: str, parts: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"validation_id": validation_id, "nth": nth, **_row(one)} for nth, one in enumerate(parts)]


def _row(record: Any, leave_out: Sequence[str] = ()) -> dict[str, Any]:
    row = {f.name: _stored(getattr(record, f.name)) for f in dataclasses.fields(record) if f.name not in leave_out}
    if isinstance(record, Change):
        row["exceeded"] = record.exceeded
    return row


def _stored(value: Any) -> Any:
    """Replaces what JSON (NaN, infinity) and PostgreSQL (NUL) cannot store: such data must not lose the record."""
    if isinstance(value, Mapping):
        return {str(key).replace("\0", "\\0"): _stored(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_stored(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return str(value).replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
    return value


def _fields(kind: Any, row: Mapping[Any, Any]) -> dict[str, Any]:
    return {f.name: row[f.name] for f in dataclasses.fields(kind) if f.name in row}


def _validation(row: Mapping[Any, Any]) -> Validation:
    return Validation(**{**_fields(Validation, row), "outcome": Outcome(row["outcome"])})


def _column(row: Mapping[Any, Any]) -> Column:
    known = _fields(Column, row)
    known["quantiles"] = {float(probability): value for probability, value in (row["quantiles"] or {}).items()}
    known["histogram"] = tuple((b[0], b[1], b[2]) for b in row["histogram"] or ())
    known["top_values"] = tuple((v[0], v[1]) for v in row["top_values"] or ())
    return Column(**known)
