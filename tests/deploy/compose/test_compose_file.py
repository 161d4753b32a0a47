"""docker/compose.yaml as its owner reads it: what each service may do, and that no password lies in it."""

from __future__ import annotations

import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

DOCKER = pathlib.Path(__file__).resolve().parents[3] / "docker"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
JOBS = {"volumes", "airflow-migrate", "s3-accounts", "trainyard"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_can_do_what_it_must_and_no_more(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"]["max-size"] and service["mem_limit"] and service["pids_limit"]
    assert not service.get("privileged") and "docker.sock" not in str(service)
    assert service["restart"] == ("no" if name in JOBS else "unless-stopped")
    if name not in JOBS:
        assert service["healthcheck"]["test"]
    if name == "volumes":  # root, to chown: nothing else, and nobody to talk to
        assert (service["user"], service["cap_add"], service["network_mode"]) == ("0:0", ["CHOWN"], "none")
    else:
        assert not service["user"].startswith("0") and "cap_add" not in service


def test_ports_are_bound_to_loopback_and_stores_publish_none() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(published) == {"airflow-api", "model-server", "gateway"}
    elsewhere = {name for name, ports in published.items() if not all(port.startswith("127.0.0.1:") for port in ports)}
    assert elsewhere == {"gateway"} and all(
        port.startswith("${GATEWAY_ADDRESS:-127.0.0.1}:") for port in published["gateway"]
    )


def test_every_secret_is_required_and_goes_where_it_is_needed() -> None:
    holders: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if re.search("SECRET|PASSWORD|KEY$|CONN$", key) and value:
                if value.startswith("${TRAINYARD_"):
                    continue  # a file's name, of a key that need not be
                assert (
                    re.search(r"\$\{[A-Z0-9_]+:\?run docker/compose/make-env\}", value)
                    or key == "ROOT_ACCESS_KEY"
                    or value == f"${{{key}:-}}"  # there is none unless somebody makes one
                ), key
            for variable in re.findall(r"\$\{([A-Z0-9_]+):\?", str(value)):
                holders.setdefault(variable, set()).add(name)
    assert holders["S3_ROOT_SECRET"] == {"s3", "s3-accounts"}
    assert holders["S3_PIPELINES_SECRET"] == {"s3-accounts", "airflow-scheduler", "trainyard"}
    assert holders["S3_SERVER_SECRET"] == {"s3-accounts", "model-server"}
    assert holders["POSTGRES_PASSWORD"] == {"postgres"} and holders["AIRFLOW_ADMIN_PASSWORD"] == {"airflow-migrate"}
    assert "AIRFLOW_DB_PASSWORD" not in {
        v for v, names in holders.items() if "model-server" in names or "trainyard" in names
    }


def test_keys_are_files_and_the_model_server_gets_public_ones_alone() -> None:
    holders = {name: set(service["secrets"]) for name, service in SERVICES.items() if "secrets" in service}
    both = {"signing_key", "public_keys"}
    assert holders == {"airflow-scheduler": both, "trainyard": both, "model-server": {"public_keys"}}
    for name, service in SERVICES.items():
        named = {
            key for key in ("TRAINYARD_SIGNING_KEY", "TRAINYARD_PUBLIC_KEYS") if key in service.get("environment", {})
        }
        assert {key.removeprefix("TRAINYARD_").lower() for key in named} == holders.get(name, set())
        for key in named:  # empty, and so none, where docker/.env names no file
            where = key.removeprefix("TRAINYARD_").lower()
            assert service["environment"][key] == f"${{{key}_FILE:+/run/secrets/{where}}}"


def test_what_waits_for_a_service_waits_for_one_that_is_there() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            ends = how["condition"] == "service_completed_successfully"
            assert ends == (other in JOBS) and (ends or "healthcheck" in SERVICES[other])


def test_make_env_writes_passwords_once(tmp_path: pathlib.Path) -> None:
    shutil.copytree(DOCKER / "compose", tmp_path / "compose")
    (tmp_path / ".env").write_text("S3_ROOT_SECRET=mine\n")
    subprocess.run([tmp_path / "compose" / "make-env"], check=True, capture_output=True)
    written = (tmp_path / ".env").read_text()
    settings = dict(line.split("=", 1) for line in written.splitlines())
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert settings["S3_ROOT_SECRET"] == "mine" and len(set(settings.values())) == len(settings)
    assert len(base64.urlsafe_b64decode(settings["AIRFLOW_FERNET_KEY"])) == 32
    required = set(re.findall(r"\$\{([A-Z0-9_]+):\?", (DOCKER / "compose.yaml").read_text()))
    assert set(settings) == required
    said = subprocess.run([tmp_path / "compose" / "make-env"], check=True, capture_output=True, text=True).stdout
    assert (tmp_path / ".env").read_text() == written and not any(v in said for v in settings.values() if v != "mine")


def test_the_model_server_s_key_reads_and_no_more() -> None:
    code = "import json, s3_accounts; print(json.dumps(s3_accounts.policy()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=DOCKER / "compose", capture_output=True, text=True, check=True
    )
    granted = [s for s in json.loads(done.stdout)["Statement"] if s["Principal"]["AWS"] == ["model-server"]]
    assert {action for statement in granted for action in statement["Action"]} == {"s3:ListBucket", "s3:GetObject"}
