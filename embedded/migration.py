"""Airflow's tables: created at the first start, migrated after an upgrade, left alone otherwise."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from embedded.database import Database, check
from embedded.processes import describe_exit, signal_group, tail_of
from embedded.settings import Paths
from spec import home


class Migration:
    """`airflow db migrate`, where needed.

    Args:
        paths: the home's files; a marker among them names the version and database that were migrated last, to save time.
        database: the database.
        environment: of Airflow's processes.
    """

    def __init__(self, paths: Paths, database: Database, environment: Mapping[str, str]) -> None:
        self._paths = paths
        self._database = database
        self._environment = environment
        self._python = home.environment_python("airflow")
        self._marker = paths.airflow / "migrated"
        version = _airflow_version(self._python)
        self._wanted = f"{version}\n{database.shown}\n" if version else ""

    @property
    def is_first(self) -> bool:
        """Whether this home has never used the database."""
        return not (self._marked().endswith(f"{self._database.shown}\n") and self._is_there)

    @property
    def is_needed(self) -> bool:
        return not (self._wanted and self._is_there and self._marked() == self._wanted)

    def check(self) -> None:
        """Raises DatabaseError if PostgreSQL does not let us in."""
        check(self._database, self._python, self._environment)

    def run(self, stop: threading.Event) -> str | None:
        """Migrates if necessary; ends early when asked to stop.

        Returns:
            What went wrong, with the end of the log; None if nothing did.
        """
        if not self.is_needed:
            return None
        self._paths.logs.mkdir(parents=True, exist_ok=True)
        log_path = self._paths.logs / "migrate.log"
        with log_path.open("ab") as log:
            process = subprocess.Popen(
                [str(self._python), "-P", "-m", "airflow", "db", "migrate"],
                env=dict(self._environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        while process.poll() is None:
            if stop.wait(0.1):
                signal_group(process.pid, signal.SIGTERM)
                process.wait()
                return None
        if process.returncode != 0:
            return (
                f"Airflow's database could not be set up: the command {describe_exit(process.returncode)}. "
                f"Log: {log_path}\n{tail_of(log_path, 10)}"
            )
        self._marker.write_text(self._wanted, encoding="utf-8")
        return None

    @property
    def _is_there(self) -> bool:
        return self._paths.database.is_file() or not self._database.is_sqlite

    def _marked(self) -> str:
        return self._marker.read_text(encoding="utf-8") if self._marker.is_file() else ""


def _airflow_version(python: Path) -> str:
    """The installed Airflow's version, from the name of its metadata folder: importing Airflow takes seconds."""
    found = sorted((python.parents[1] / "lib").glob("python3*/site-packages/apache_airflow_core-*.dist-info"))
    return found[-1].name if found else ""
