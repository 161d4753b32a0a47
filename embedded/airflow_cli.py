"""Airflow's command line with the embedded platform's settings: `./trainyard airflow dags list`.

Works with or without a running platform. It does not import Airflow: the process becomes Airflow's.
"""

from __future__ import annotations

import os
import subprocess
import sys

from embedded.credentials import CredentialsError, load_secrets
from embedded.database import Database, DatabaseError, choose
from embedded.environment import airflow_environment
from embedded.settings import PREFERRED, Paths, Ports
from embedded.supervisor import read_state
from spec import environment as env
from spec import exit_codes, home


def main(arguments: list[str]) -> int:
    """Replaces this process by `airflow <arguments>`."""
    paths = Paths(home.home())
    try:
        database = choose(paths)
        environment = _environment(paths, database)
    except (CredentialsError, DatabaseError) as error:
        print(f"trainyard airflow: {error}", file=sys.stderr)
        return exit_codes.FIX_INPUT
    python = str(home.environment_python("airflow"))
    if database.is_sqlite and not paths.database.is_file() and arguments[:1] != ["db"]:
        subprocess.run(
            [python, "-P", "-m", "airflow", "db", "migrate"], env=environment, stdout=subprocess.DEVNULL, check=True
        )
    os.execve(python, [python, "-P", "-m", "airflow", *arguments], environment)


def has_database(paths: Paths) -> bool:
    """Whether this home's Airflow has been started before."""
    return paths.secrets.is_file() and (not choose(paths).is_sqlite or paths.database.is_file())


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs an `airflow` command with the home's settings, and returns what it printed.

    Raises:
        CredentialsError, DatabaseError: the key files or the database cannot be used.
    """
    paths = Paths(home.home())
    argv = [str(home.environment_python("airflow")), "-P", "-m", "airflow", *arguments]
    return subprocess.run(argv, env=_environment(paths, choose(paths)), capture_output=True, text=True, check=False)


def _environment(paths: Paths, database: Database) -> dict[str, str]:
    state = read_state(paths)
    keys, _ = load_secrets(paths)
    environment = airflow_environment(paths, Ports(**state["ports"]) if state else PREFERRED, keys, database)
    # The user's command is not part of the platform: stopping the platform must not end it.
    environment.pop(env.PLATFORM)
    # Airflow logs to stdout, which would spoil `-o json`.
    environment["AIRFLOW__LOGGING__LOGGING_LEVEL"] = os.environ.get("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    return environment


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
