"""Where the embedded platform keeps its things, its ports, its secrets, and the environment of its processes."""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines import home

USER = "admin"
HOST = "127.0.0.1"
PLATFORM_MARK = "TRAINYARD_PLATFORM"
"""In the environment of every process that a platform starts: the platform's home. Strays are found by it."""


class PortTakenError(Exception):
    """A port that was asked for is not free; the message is one line for the user."""


@dataclass(frozen=True)
class Ports:
    """The loopback ports of a platform."""

    airflow: int
    rest: int
    grpc: int

    @property
    def airflow_url(self) -> str:
        return f"http://{HOST}:{self.airflow}"

    @property
    def server_url(self) -> str:
        return f"http://{HOST}:{self.rest}"


PREFERRED = Ports(airflow=8080, rest=8501, grpc=8500)


def choose_ports(airflow: int | None = None, rest: int | None = None, grpc: int | None = None) -> Ports:
    """The ports asked for; for the others the usual ones, or any free ones where those are taken.

    Raises:
        PortTakenError: a port that was asked for is not free.
    """
    chosen: dict[str, int] = {}
    for name, asked in (("airflow", airflow), ("rest", rest), ("grpc", grpc)):
        if asked is not None and (not is_free(asked) or asked in chosen.values()):
            raise PortTakenError(
                f"port {asked} on {HOST} is taken. Name another with --{name}-port, or leave the option out."
            )
        usual = getattr(PREFERRED, name)
        chosen[name] = asked if asked is not None else usual if is_free(usual) else free_port()
    return Ports(**chosen)


def is_free(port: int) -> bool:
    """Whether a server could listen on a loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError):
            return False
    return True


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Paths:
    """The files of a platform, all under one TRAINYARD_HOME."""

    home: Path

    @property
    def airflow(self) -> Path:
        return self.home / "airflow"

    @property
    def database(self) -> Path:
        return self.airflow / "airflow.db"

    @property
    def secrets(self) -> Path:
        return self.airflow / "secrets.json"

    @property
    def passwords(self) -> Path:
        return self.airflow / "passwords.json"

    @property
    def task_logs(self) -> Path:
        return self.airflow / "logs"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def pids(self) -> Path:
        return self.home / "run"

    @property
    def state(self) -> Path:
        return self.home / "platform.json"

    @property
    def lock(self) -> Path:
        return self.home / "platform.lock"

    @property
    def server_ready(self) -> Path:
        return self.pids / "model-server.ready.json"


@dataclass(frozen=True)
class Secrets:
    """Keys that all Airflow components share, made once a home and kept in a file of mode 600."""

    jwt: str
    fernet: str
    session: str
    password: str


def load_secrets(paths: Paths) -> tuple[Secrets, bool]:
    """Reads the platform's secrets, or makes them.

    Returns:
        The secrets, and whether they were made just now.
    """
    try:
        return Secrets(**json.loads(paths.secrets.read_text(encoding="utf-8"))), False
    except (FileNotFoundError, ValueError, TypeError):
        pass
    made = Secrets(
        jwt=secrets.token_urlsafe(48),
        fernet=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        session=secrets.token_urlsafe(32),
        password=secrets.token_urlsafe(12),
    )
    write_private(paths.secrets, json.dumps(asdict(made), indent=1))
    write_private(paths.passwords, json.dumps({USER: made.password}))
    return made, True


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read, in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    # Nobody may read it even for the instant between making it and closing it off.
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    aside.replace(path)


def process_environment(paths: Paths, ports: Ports) -> dict[str, str]:
    """What every process of the platform inherits: Trainyard's folders, the platform's mark, no proxy for loopback."""
    # Someone else's Airflow settings, and settings of the Python we run under, have no business in our processes.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "_AIRFLOW")) and k != "PYTHONHOME"}
    direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), HOST, "localhost"]))
    return inherited | {
        "TRAINYARD_ROOT": str(home.ROOT),
        "TRAINYARD_HOME": str(paths.home),
        "TRAINYARD_SERVER": ports.server_url,
        "NO_PROXY": direct,
        "no_proxy": direct,
        "PYTHONUNBUFFERED": "1",
        # setproctitle would write its title over /proc/<pid>/environ, where the mark is looked for.
        "SPT_NOENV": "1",
        PLATFORM_MARK: str(paths.home),
    }


def airflow_environment(paths: Paths, ports: Ports, keys: Secrets) -> dict[str, str]:
    """The environment of Airflow's components and of its command line."""
    return process_environment(paths, ports) | {
        "AIRFLOW_HOME": str(paths.airflow),
        **_settings("core", _core(paths, ports, keys)),
        **_settings("database", {"sql_alchemy_conn": f"sqlite:///{paths.database}"}),
        **_settings("api", _api(ports, keys)),
        **_settings("api_auth", {"jwt_secret": keys.jwt}),
        **_settings("logging", {"base_log_folder": str(paths.task_logs)}),
        # A changed workload.yaml shows within seconds, the DAGs of a removed one leave the list within a minute.
        **_settings("dag_processor", {"refresh_interval": "10", "min_file_process_interval": "10"}),
        **_settings("dag_processor", {"stale_dag_threshold": "30"}),
        # A task whose scheduler was killed is picked up after half a minute instead of five.
        **_settings("scheduler", {"orphaned_tasks_check_interval": "30", "parsing_cleanup_interval": "20"}),
        # A running task outlives an API server that is being restarted.
        **_settings("workers", {"max_failed_heartbeats": "60"}),
        **_settings("usage_data_collection", {"enabled": "False"}),
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
