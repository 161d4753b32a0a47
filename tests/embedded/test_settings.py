from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.credentials import load_secrets
from embedded.database import Database
from embedded.environment import airflow_environment, process_environment
from embedded.settings import PREFERRED, Paths, PortTakenError, choose_ports, free_port, is_free
from spec import environment as env


def test_airflow_listens_on_loopback_only_and_inherits_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "redis://elsewhere")
    monkeypatch.setenv("NO_PROXY", "internal.example")
    monkeypatch.setenv("TRAINYARD_AIRFLOW_DATABASE", "postgresql://u:hunter2@h/d")
    keys, _ = load_secrets(Paths(tmp_path))
    environment = airflow_environment(Paths(tmp_path), PREFERRED, keys, Database("postgresql://u:hunter2@h/d"))
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW__CELERY__BROKER_URL" not in environment
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == "postgresql://u:hunter2@h/d"
    assert not any("hunter2" in value for value in process_environment(Paths(tmp_path), PREFERRED).values())
    assert environment["NO_PROXY"] == "internal.example,127.0.0.1,localhost"
    assert environment[env.PLATFORM] == str(tmp_path)


def test_a_taken_usual_port_is_stepped_around_and_an_asked_one_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port}.*--grpc-port"):
            choose_ports(grpc=port)
        assert port not in vars(choose_ports()).values()


def test_the_same_port_twice_is_refused() -> None:
    with pytest.raises(PortTakenError):
        choose_ports(airflow=45123, rest=45123)


def test_port_of_a_platform_that_is_still_starting_is_taken() -> None:
    port = free_port()
    code = f"from embedded.settings import choose_ports; print(choose_ports(rest={port}).rest, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == str(port).encode()
        assert is_free(port), "nobody listens yet"
        with pytest.raises(PortTakenError):
            choose_ports(rest=port)
        other.kill()
    assert choose_ports(rest=port).rest == port, "a dead platform has no claim"


def test_airflow_knows_every_setting_and_a_slow_api_server_ends_no_task(tmp_path: Path) -> None:
    from airflow.configuration import conf

    keys, _ = load_secrets(Paths(tmp_path))
    given = airflow_environment(Paths(tmp_path), PREFERRED, keys)
    settings = {
        tuple(name.lower().split("__")[1:]): value for name, value in given.items() if name.startswith("AIRFLOW__")
    }
    unknown = [(s, o) for s, o in settings if o not in conf.configuration_description.get(s, {}).get("options", {})]
    assert unknown == [], "a misspelt one would be passed over"
    # Each of these at Airflow's default has cost tasks their tries when parts of the platform were killed.
    for option in ("max_failed_heartbeats", "execution_api_timeout", "execution_api_retries"):
        default = conf.configuration_description["workers"]["options"][option]["default"]
        assert float(settings["workers", option]) > float(default)
    assert float(settings["workers", "min_heartbeat_interval"]) <= 1, "a worker sees its task's end at once"
