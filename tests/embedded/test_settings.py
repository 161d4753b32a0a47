from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from embedded.settings import (
    PLATFORM_MARK,
    PREFERRED,
    Paths,
    PortTakenError,
    airflow_environment,
    choose_ports,
    load_secrets,
)


def test_secrets_are_made_once_and_are_private(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    first, made = load_secrets(paths)
    again, made_again = load_secrets(paths)
    assert (made, made_again) == (True, False)
    assert first == again
    assert json.loads(paths.passwords.read_text()) == {"admin": first.password}
    for file in (paths.secrets, paths.passwords):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_airflow_listens_on_loopback_only_and_inherits_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW__CELERY__BROKER_URL", "redis://elsewhere")
    monkeypatch.setenv("NO_PROXY", "internal.example")
    keys, _ = load_secrets(Paths(tmp_path))
    environment = airflow_environment(Paths(tmp_path), PREFERRED, keys)
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW__CELERY__BROKER_URL" not in environment
    assert environment["NO_PROXY"] == "internal.example,127.0.0.1,localhost"
    assert environment[PLATFORM_MARK] == str(tmp_path)


def test_a_taken_usual_port_is_stepped_around_and_an_asked_one_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"port {port}.*--grpc-port"):
            choose_ports(grpc=port)
        assert port not in vars(choose_ports()).values()


def test_the_same_port_twice_is_refused() -> None:
    with pytest.raises(PortTakenError):
        choose_ports(airflow=45123, rest=45123)
