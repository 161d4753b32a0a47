"""Brings Airflow's database up to date and makes its first user, `admin`, where there is none.

The password comes from the environment: `airflow users create --password` would show it in the list of processes.
"""

from __future__ import annotations

import os
import subprocess
import sys

USER = "admin"


def main() -> int:
    """Returns the exit code."""
    migrated = subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=False)
    if migrated.returncode:
        return migrated.returncode
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        if manager.find_user(username=USER) is not None:
            print(f"user {USER} is there; its password stays (airflow users reset-password changes it)")
            return 0
        role = manager.find_role("Admin")
        password = os.environ["AIRFLOW_ADMIN_PASSWORD"]
        if not manager.add_user(USER, "Trainyard", "Admin", f"{USER}@localhost", role, password):
            print(f"airflow_migrate: could not make the user {USER}", file=sys.stderr)
            return 1
    print(f"made user {USER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
