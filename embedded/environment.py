"""The environment of the platform's processes: their settings, and nothing of any other Airflow."""

from __future__ import annotations

import os
from collections.abc import Mapping

from embedded.credentials import Secrets
from embedded.database import Database, choose
from embedded.settings import HOST, USER, Paths, Ports
from spec import environment as env
from spec import home


def process_environment(paths: Paths, ports: Ports) -> dict[str, str]:
    """What every process of the platform inherits: Trainyard's folders, the platform's mark, and no proxy for loopback."""
    # Settings of another Airflow, or of the Python that we run under, have no place in our processes.
    # The database's URL may hold a password, and reaches Airflow's processes as Airflow's own setting.
    foreign = ("AIRFLOW", "_AIRFLOW", "PYTHONHOME", env.AIRFLOW_DATABASE)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), HOST, "localhost"]))
    return inherited | {
        env.ROOT: str(home.ROOT),
        env.HOME: str(paths.home),
        env.SERVER: ports.server_url,
        env.REPORTS_URL: os.environ.get(env.REPORTS_URL) or ports.reports_url,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "PYTHONUNBUFFERED": "1",
        "PYTHONSAFEPATH": "1",  # files in the working folder are not ours
        # setproctitle would overwrite /proc/<pid>/environ, where we look for the mark.
        "SPT_NOENV": "1",
        env.PLATFORM: str(paths.home),
    }


def airflow_environment(paths: Paths, ports: Ports, keys: Secrets, database: Database | None = None) -> dict[str, str]:
    """The environment of Airflow's components and of its command line; the default database is the home's."""
    return process_environment(paths, ports) | {
        "AIRFLOW_HOME": str(paths.airflow),
        **_settings("core", _core(paths, ports, keys)),
        **(database or choose(paths)).settings,
        **_settings("api", _api(ports, keys)),
        **_settings("api_auth", {"jwt_secret": keys.jwt}),
        **_settings("logging", {"base_log_folder": str(paths.task_logs)}),
        # A changed workload.yaml shows within seconds; the DAGs of a removed one disappear within a minute.
        **_settings("dag_processor", {"refresh_interval": "10", "min_file_process_interval": "10"}),
        **_settings("dag_processor", {"stale_dag_threshold": "30"}),
        # A task whose scheduler was killed is picked up after half a minute instead of five.
        **_settings("scheduler", {"orphaned_tasks_check_interval": "30", "parsing_cleanup_interval": "20"}),
        # A task whose whole worker was killed is retried after two minutes instead of five.
        **_settings("scheduler", {"task_instance_heartbeat_timeout": "120"}),
        # Running tasks, and those that start meanwhile, survive a restart of the API server: with 5 attempts within some 8 s,
        # a killed API server cost a task all its retries. On a busy machine, a slow server is not a dead one.
        **_settings("workers", {"max_failed_heartbeats": "60", "execution_api_timeout": "60"}),
        # How often a worker checks whether its task has ended: at 5 s the slot stayed occupied that long, and a deferred task
        # that resumed meanwhile counted as lost, which cost it a try.
        **_settings("workers", {"min_heartbeat_interval": "1"}),
        **_settings("workers", {"execution_api_retries": "20", "execution_api_retry_wait_max": "10"}),
    }


def _core(paths: Paths, ports: Ports, keys: Secrets) -> dict[str, str]:
    return {
        "dags_folder": str(home.ROOT / "dags"),
        "executor": "LocalExecutor",
        "parallelism": "4",
        "load_examples": "False",
        "dags_are_paused_at_creation": "False",
        "fernet_key": keys.fernet,
        "execution_api_server_url": f"{ports.airflow_url}/execution/",
        "simple_auth_manager_users": f"{USER}:admin",
        "simple_auth_manager_passwords_file": str(paths.passwords),
    }


def _api(ports: Ports, keys: Secrets) -> dict[str, str]:
    return {
        "host": HOST,
        "port": str(ports.airflow),
        "base_url": ports.airflow_url,
        "secret_key": keys.session,
        "workers": "1",
        "instance_name": "Trainyard",
    }


def _settings(section: str, values: Mapping[str, str]) -> dict[str, str]:
    return {f"AIRFLOW__{section.upper()}__{name.upper()}": value for name, value in values.items()}
