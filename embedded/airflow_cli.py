"""Airflow's command line with the embedded platform's settings: `./trainyard airflow dags list`.

Works beside a running platform, and without one. Imports nothing of Airflow: it becomes Airflow's process.
"""

from __future__ import annotations

import os
import subprocess
import sys

from embedded.settings import PLATFORM_MARK, PREFERRED, Paths, Ports, airflow_environment, load_secrets
from embedded.supervisor import read_state
from pipelines import home


def main(arguments: list[str]) -> int:
    """Replaces this process by `airflow <arguments>`."""
    paths = Paths(home.home())
    state = read_state(paths)
    keys, _ = load_secrets(paths)
    environment = airflow_environment(paths, Ports(**state["ports"]) if state else PREFERRED, keys)
    # A command of the user's is no part of the platform: stopping that must not end it.
    environment.pop(PLATFORM_MARK)
    # Airflow logs to stdout, which would spoil `-o json`.
    environment["AIRFLOW__LOGGING__LOGGING_LEVEL"] = os.environ.get("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    python = str(home.environment_python("airflow"))
    if not paths.database.is_file() and arguments[:1] != ["db"]:
        subprocess.run(
            [python, "-m", "airflow", "db", "migrate"], env=environment, stdout=subprocess.DEVNULL, check=True
        )
    os.execve(python, [python, "-m", "airflow", *arguments], environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
