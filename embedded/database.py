"""Airflow's database: a SQLite file in the home, or an existing PostgreSQL database.

The password of a PostgreSQL database is never an argument, which every user of the machine could read, and never in a file of
ours: it comes with the URL in TRAINYARD_AIRFLOW_DATABASE, or from where libpq looks (PGPASSWORD, ~/.pgpass).
"""

from __future__ import annotations

import os
import re
import subprocess
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded.settings import Paths
from spec import environment as env
from spec.private_files import write_private
from spec.words import one_line

SQLITE = "sqlite"
CHECK_TIMEOUT_S = 20


class DatabaseError(ValueError):
    """A database that cannot be used; the message is one line for the user."""


@dataclass(frozen=True)
class Database:
    """Where Airflow keeps its runs.

    Attributes:
        url: SQLAlchemy's URL. It may hold a password: for the environment of processes, never for a message or a file.
    """

    url: str

    @property
    def settings(self) -> dict[str, str]:
        """Environment variables for Airflow's processes.

        TLS is set with libpq's variable: Airflow also connects with asyncpg, which refuses `sslmode` in a URL and reads PGSSLMODE.
        """
        parts = urllib.parse.urlsplit(self.url)
        options = dict(urllib.parse.parse_qsl(parts.query))
        mode = options.pop("sslmode", None)
        url = parts._replace(query=urllib.parse.urlencode(options)).geturl() if mode else self.url
        return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url} | ({"PGSSLMODE": mode} if mode else {})

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite:")

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return without_password(self.url)


def choose(paths: Paths, asked: str | None = None, environment: Mapping[str, str] = os.environ) -> Database:
    """The database that was asked for; else that of TRAINYARD_AIRFLOW_DATABASE; else this home's last one; else SQLite.

    Raises:
        DatabaseError: the URL is not that of a PostgreSQL database, or holds a password where others can read it.
    """
    if asked is not None:
        chosen = _parse(asked, "--database", paths)
        if _password(chosen.url):
            raise DatabaseError(
                "--database holds a password, which every user of this machine could read. "
                f"Give the URL in {env.AIRFLOW_DATABASE}, or the password in PGPASSWORD or ~/.pgpass."
            )
        return chosen
    if environment.get(env.AIRFLOW_DATABASE):
        return _parse(environment[env.AIRFLOW_DATABASE], env.AIRFLOW_DATABASE, paths)
    if paths.database_choice.is_file():
        return _parse(paths.database_choice.read_text(encoding="utf-8").strip(), str(paths.database_choice), paths)
    return _sqlite(paths)


def remember(paths: Paths, database: Database) -> None:
    """Makes the next start in this home, and `trainyard airflow`, use the same database."""
    if database.is_sqlite:
        paths.database_choice.unlink(missing_ok=True)
    else:
        write_private(paths.database_choice, f"{database.shown}\n")


def check(database: Database, python: Path, environment: Mapping[str, str]) -> None:
    """Logs in once, in Airflow's environment, which has the driver: a wrong password becomes one line, not a traceback.

    Raises:
        DatabaseError: the server does not let us in.
    """
    if database.is_sqlite:
        return
    try:
        done = subprocess.run(
            [str(python), "-c", _LOGIN],
            env=dict(environment) | {env.AIRFLOW_DATABASE: database.url},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CHECK_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DatabaseError(f"{database.shown} does not answer within {CHECK_TIMEOUT_S} s.") from None
    if done.returncode != 0:
        why = one_line(done.stdout.strip() or done.stderr.strip()[-300:]).rstrip(".?")
        raise DatabaseError(
            f"{database.shown} cannot be used: {why}. "
            f"Mend that, the URL, or the password in {env.AIRFLOW_DATABASE}, PGPASSWORD or ~/.pgpass."
        )


_LOGIN = f"""
import os, sys, psycopg2
try:
    connection = psycopg2.connect(os.environ["{env.AIRFLOW_DATABASE}"], connect_timeout=10)
    encoding = connection.get_parameter_status("server_encoding")
    connection.close()
except psycopg2.Error as error:
    sys.exit(print(str(error).strip()) or 1)
if encoding != "UTF8":
    sys.exit(print("its encoding is", encoding, "and has to be UTF8 (createdb -E UTF8 -T template0)") or 1)
"""


def _parse(text: str, where: str, paths: Paths) -> Database:
    if text == SQLITE:
        return _sqlite(paths)
    try:
        parts = urllib.parse.urlsplit(text)
        fine = parts.scheme in ("postgresql", "postgres") and bool(parts.hostname) and bool(parts.path.strip("/"))
        fine = fine and parts.port != 0
    except ValueError:
        fine = False
    if not fine:
        raise DatabaseError(
            f"{where}: expected postgresql://user@host:5432/database, or sqlite for the file in the home. "
            f"Received: {without_password(text)!r}"
        )
    return Database(parts._replace(scheme="postgresql").geturl())


def without_password(url: str) -> str:
    """The URL, well-formed or not, without anything that may be a password."""
    return re.sub(r"([?&])password=[^&]*&?", r"\1", re.sub(r"//([^/@:]*):.*@", r"//\1@", url)).rstrip("?&")


def _sqlite(paths: Paths) -> Database:
    return Database(f"sqlite:///{paths.database}")


def _password(url: str) -> str | None:
    parts = urllib.parse.urlsplit(url)
    in_query = urllib.parse.parse_qs(parts.query).get("password")
    return parts.password or (in_query[0] if in_query else None)
