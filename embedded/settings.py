"""The embedded platform's files and ports."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

USER = "admin"
HOST = "127.0.0.1"


class PortTakenError(Exception):
    """A port that was asked for is not free; the message is one line for the user."""


@dataclass(frozen=True)
class Ports:
    """The loopback ports of a platform."""

    airflow: int
    rest: int
    grpc: int
    reports: int = 8088

    @property
    def airflow_url(self) -> str:
        return f"http://{HOST}:{self.airflow}"

    @property
    def server_url(self) -> str:
        return f"http://{HOST}:{self.rest}"

    @property
    def reports_url(self) -> str:
        return f"http://{HOST}:{self.reports}"


PREFERRED = Ports(airflow=8080, rest=8501, grpc=8500, reports=8088)


def choose_ports(
    airflow: int | None = None, rest: int | None = None, grpc: int | None = None, reports: int | None = None
) -> Ports:
    """The ports that were asked for; otherwise the usual ones, or free ones if those are taken.

    Raises:
        PortTakenError: a port that was asked for is not free.
    """
    chosen: dict[str, int] = {}
    for name, asked in (("airflow", airflow), ("rest", rest), ("grpc", grpc), ("reports", reports)):
        if asked is not None and (asked in chosen.values() or not (is_free(asked) and _claim(asked))):
            raise PortTakenError(
                f"port {asked} on {HOST} is taken. Name another with --{name}-port, or leave the option out."
            )
        usual = getattr(PREFERRED, name)
        if asked is None:
            asked = usual if usual not in chosen.values() and is_free(usual) and _claim(usual) else _claimed_free_port()
        chosen[name] = asked
    return Ports(**chosen)


_claims: dict[int, socket.socket] = {}


def _claim(port: int) -> bool:
    """Reserves a port for this process until it ends; False if another platform that is still starting has it.

    Seconds pass between choosing a port and a server listening on it. A name in Linux's abstract socket namespace belongs to
    one process of the machine at a time, and is released when that dies.
    """
    if port in _claims:
        return True
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0trainyard-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims[port] = claim
    return True


def _claimed_free_port() -> int:
    while (port := free_port()) in _claims or not _claim(port):
        pass
    return port


def is_free(port: int) -> bool:
    """Whether a server could listen on a loopback port at the moment."""
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


class Paths:
    """The files of a platform, all under one TRAINYARD_HOME.

    Attributes:
        database_choice: the URL, without a password, of the PostgreSQL database that this home's Airflow uses.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self.airflow = home / "airflow"
        self.database = self.airflow / "airflow.db"
        self.database_choice = self.airflow / "database.url"
        self.secrets = self.airflow / "secrets.json"
        self.passwords = self.airflow / "passwords.json"
        self.task_logs = self.airflow / "logs"
        self.logs = home / "logs"
        self.pids = home / "run"
        self.state = home / "platform.json"
        self.lock = home / "platform.lock"
        self.server_ready = self.pids / "model-server.ready.json"
