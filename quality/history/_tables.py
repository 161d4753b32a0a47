"""The tables: plain names and types, so that any SQL tool can read them. Times are ISO 8601 texts in UTC."""

from __future__ import annotations

import contextlib

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError, ProgrammingError

VERSION = 1
"""Raised when earlier versions of Trainyard could no longer write; not for a new column that has a default."""
METADATA = sa.MetaData()

SCHEMA_VERSION = sa.Table("quality_schema", METADATA, sa.Column("version", sa.Integer, primary_key=True))

VALIDATIONS = sa.Table(
    "quality_validations",
    METADATA,
    sa.Column("id", sa.String(200), primary_key=True),
    sa.Column("workload", sa.String(200), nullable=False),
    sa.Column("span", sa.Integer),
    sa.Column("created_at", sa.String(40), nullable=False),
    sa.Column("source", sa.String(20), nullable=False),
    sa.Column("outcome", sa.String(20), nullable=False),
    sa.Column("headline", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger),
    sa.Column("quarantined", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("documents", sa.JSON, nullable=False),
    sa.Column("reference", sa.String(200), nullable=False, server_default=""),
    sa.Index("quality_validations_by_workload", "workload", "created_at"),
)


def _of_a_validation() -> list[sa.Column]:
    to = sa.ForeignKey("quality_validations.id", ondelete="CASCADE")
    return [
        sa.Column("validation_id", sa.String(200), to, primary_key=True),
        sa.Column("nth", sa.Integer, primary_key=True),
    ]


CHECKS = sa.Table(
    "quality_checks",
    METADATA,
    *_of_a_validation(),
    sa.Column("gate", sa.String(100), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("passes", sa.Boolean, nullable=False),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("column", sa.Text, nullable=False),
    sa.Column("expectation", sa.Text, nullable=False),
    sa.Column("unexpected", sa.BigInteger),
    sa.Column("total", sa.BigInteger),
    sa.Column("waiver", sa.Text, nullable=False),
    sa.Column("evidence", sa.JSON, nullable=False),
    sa.Column("judged", sa.Boolean, nullable=False, server_default=sa.true()),
)

COLUMNS = sa.Table(
    "quality_columns",
    METADATA,
    *_of_a_validation(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("missing", sa.Float, nullable=False),
    sa.Column("distinct", sa.BigInteger),
    sa.Column("mean", sa.Float),
    sa.Column("deviation", sa.Float),
    sa.Column("minimum", sa.Float),
    sa.Column("maximum", sa.Float),
    sa.Column("quantiles", sa.JSON, nullable=False),
    sa.Column("histogram", sa.JSON, nullable=False),
    sa.Column("top_values", sa.JSON, nullable=False),
)

CHANGES = sa.Table(
    "quality_changes",
    METADATA,
    *_of_a_validation(),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("column", sa.Text, nullable=False),
    sa.Column("measure", sa.String(40), nullable=False),
    sa.Column("value", sa.Float, nullable=False),
    sa.Column("limit", sa.Float),
    sa.Column("severity", sa.String(20), nullable=False),
    sa.Column("slice", sa.Text, nullable=False),
    sa.Column("reference", sa.Text, nullable=False),
    sa.Column("exceeded", sa.Boolean, nullable=False),
)

RELEASES = sa.Table(
    "quality_releases",
    METADATA,
    sa.Column("workload", sa.String(200), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("span", sa.Integer),
    sa.Column("released_at", sa.String(40), nullable=False),
    sa.Column("run_id", sa.Text, nullable=False),
)

PARTS = {"checks": CHECKS, "columns": COLUMNS, "changes": CHANGES}

# Most checks pass: an index of the others alone is small.
FAILED_CHECKS = sa.Index(
    "quality_checks_failed",
    CHECKS.c.validation_id,
    sqlite_where=sa.not_(CHECKS.c.passes),
    postgresql_where=sa.not_(CHECKS.c.passes),
)

# Columns that were added later.
_ADDED = (
    (VALIDATIONS, "reference", "VARCHAR(200) DEFAULT '' NOT NULL"),
    (CHECKS, "judged", "BOOLEAN DEFAULT TRUE NOT NULL"),
)


def bring_up_to_date(engine: sa.Engine) -> None:
    """Adds columns and indexes that an older store lacks; its rows are not changed."""
    indexes = {index["name"] for index in sa.inspect(engine).get_indexes(CHECKS.name)}
    for table, column, kind in _ADDED:
        known = {one["name"] for one in sa.inspect(engine).get_columns(table.name)}
        # Another process may add it between the check and the change.
        with contextlib.suppress(OperationalError, ProgrammingError):
            if column not in known:
                with engine.begin() as connection:
                    connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {column} {kind}"))
    with contextlib.suppress(OperationalError, ProgrammingError):
        if FAILED_CHECKS.name not in indexes:
            FAILED_CHECKS.create(engine)
