"""Migrates Airflow's database and creates its first user, `admin`, if it does not exist.

The password comes from the environment: `airflow users create --password` would show it in the process list.
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
            print(f"user {USER} exists; its password stays (airflow users reset-password changes it)")
            return 0
        role = manager.find_role("Admin")
        password = os.environ["AIRFLOW_ADMIN_PASSWORD"]
        if not manager.add_user(USER, "Trainyard", "Admin", f"{USER}@localhost", role, password):
            print(f"airflow_migrate: could not create the user {USER}", file=sys.stderr)
            return 1
    print(f"created user {USER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
