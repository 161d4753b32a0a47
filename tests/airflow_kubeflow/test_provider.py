"""What Airflow itself makes of the provider."""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import pathlib
import sys
import tomllib

import airflow
import jsonschema
import pytest
from airflow.models import Connection
from airflow.providers_manager import ProvidersManager

import airflow_kubeflow
from airflow_kubeflow.get_provider_info import get_provider_info
from airflow_kubeflow.hooks.kubeflow import KubeflowHook
from tests.airflow_kubeflow.kubeflow_server import TOKEN, KubeflowServer

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "airflow_kubeflow" / "pyproject.toml").read_text())["project"]
INSTALLED = any(one.name == PROJECT["name"] for one in importlib.metadata.distributions())
needs_installation = pytest.mark.skipif(
    not INSTALLED, reason=f"{PROJECT['name']} is not installed: ./trainyard doctor, or uv sync --group airflow"
)


def test_airflows_schema_takes_it() -> None:
    schema = json.loads((pathlib.Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)
    assert get_provider_info()["package-name"] == PROJECT["name"]
    module, _, function = PROJECT["entry-points"]["apache_airflow_provider"]["provider_info"].partition(":")
    assert getattr(importlib.import_module(module), function) is get_provider_info


def test_what_it_names_is_there() -> None:
    info = get_provider_info()
    for kind in ("operators", "hooks", "sensors", "triggers"):
        for entry in info[kind]:
            for module in entry["python-modules"]:
                importlib.import_module(module)
    connection = info["connection-types"][0]
    for path in (connection["hook-class-name"], *info["extra-links"]):
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name)
    assert connection["connection-type"] == KubeflowHook.conn_type


def test_every_field_of_the_form_is_read(kubeflow: KubeflowServer) -> None:
    source = (ROOT / "airflow_kubeflow" / "settings.py").read_text()
    for field in get_provider_info()["connection-types"][0]["conn-fields"]:
        assert f'extra.get("{field}")' in source or f'extra["{field}"]' in source, field


def test_the_distribution_and_its_changelog_agree() -> None:
    assert airflow_kubeflow.__version__ == PROJECT["version"]
    changelog = (ROOT / "airflow_kubeflow" / "CHANGELOG.md").read_text()
    assert f"## {PROJECT['version']}" in changelog


@needs_installation
def test_airflow_finds_it() -> None:
    manager = ProvidersManager()
    assert manager.providers[PROJECT["name"]].version == PROJECT["version"]
    hook = manager.hooks["kubeflow"]
    assert hook is not None and hook.connection_testable and hook.hook_name == "Kubeflow Pipelines"
    assert "extra__kubeflow__cookie_secret" in manager.connection_form_widgets
    assert "airflow_kubeflow.links.kubeflow.KubeflowRunLink" in manager.extra_links_class_names


@needs_installation
def test_the_button_test(kubeflow: KubeflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Airflow's API server does it: by an environment variable with the connection's URI."""

    def pressed(**fields: object) -> tuple[bool, str]:
        given = json.loads(kubeflow.connection(**fields))
        extra = json.dumps(given.pop("extra"))
        connection = Connection(conn_id="as_typed", extra=extra, **given)
        monkeypatch.setenv("AIRFLOW_CONN_AS_TYPED", connection.get_uri())
        return connection.test_connection()

    assert pressed() == (True, f"Kubeflow Pipelines answers at {kubeflow.url} (one user).")
    ok, message = pressed(password="wrong-one")
    assert not ok and "Put a valid token" in message and "wrong-one" not in message
    ok, message = pressed(host="http://127.0.0.1:1")
    assert not ok and "does not answer" in message and TOKEN not in message


def test_no_kfp_and_no_kubernetes() -> None:
    for name in get_provider_info()["operators"][0]["python-modules"]:
        importlib.import_module(name)
    assert not {"kfp", "kubernetes"} & set(sys.modules)
