from __future__ import annotations

import asyncio
import http.server
import json
import pathlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from airflow.sdk import Connection

from airflow_kubeflow import api, runs
from airflow_kubeflow.exceptions import KubeflowUnavailable, KubeflowUserError
from airflow_kubeflow.hooks.kubeflow import KubeflowHook
from airflow_kubeflow.settings import Settings
from tests.airflow_kubeflow.kubeflow_server import CREATE, TOKEN, KubeflowServer

GET = "GET /apis/v2beta1/runs/"


def create(hook: KubeflowHook, name: str = "one", experiment: str = "taxi") -> str:
    body = {"display_name": name, "experiment_id": hook.get_or_create_experiment(experiment)}
    minimal = {"pipelineInfo": {"name": "p"}, "root": {"dag": {}}, "schemaVersion": "2.1.0"}
    run = hook.create_run(body | {"pipeline_spec": minimal, "runtime_config": {"parameters": {}}})
    return str(run["run_id"])


def test_runs_by_name_over_pages(kubeflow: KubeflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 3)
    with KubeflowHook() as hook:
        run_id = create(hook, "one (airflow-1)")
        create(hook, "two (airflow-2)")
        create(hook, "other (airflow-1)", "other")
        experiment = hook.get_or_create_experiment("taxi")
        assert [run["run_id"] for run in hook.find_runs(experiment, "airflow-1")] == [run_id]
        for number in range(7):
            create(hook, f"many {number}", "many")
        assert len(hook.find_runs(hook.get_or_create_experiment("many"), "many")) == 7


def test_errors_are_told_apart(kubeflow: KubeflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with KubeflowHook() as hook, pytest.raises(KubeflowUserError, match="404 Run nosuch not found"):
        hook.get_run("nosuch")
    monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", kubeflow.connection(password="wrong-one"))
    with (
        KubeflowHook() as hook,
        pytest.raises(KubeflowUserError, match="Put a valid token into the connection") as error,
    ):
        hook.get_run("nosuch")
    assert "wrong-one" not in str(error.value)
    assert kubeflow.count(f"{GET}nosuch") == 2, "what a person has to mend is not asked again"
    kubeflow.steer(login_page=True)
    with KubeflowHook() as hook, pytest.raises(KubeflowUserError, match="it may want a login"):
        hook.health()
    monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", kubeflow.connection(extra={"cookie_secret": "session=1"}))
    assert KubeflowHook().health() == {"multi_user": False}


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_platform_in_trouble_is_asked_again(kubeflow: KubeflowServer, status: int) -> None:
    with KubeflowHook() as hook:
        run_id = create(hook)
        kubeflow.steer(refusals=[status, status, status])
        assert hook.get_run(run_id)["run_id"] == run_id
        assert asyncio.run(hook.aget_run(run_id))["run_id"] == run_id
        kubeflow.steer(refusals=[status] * 4)
        with pytest.raises(KubeflowUnavailable, match=str(status)):
            hook.get_run(run_id)


def test_a_run_is_not_posted_twice_blindly(kubeflow: KubeflowServer) -> None:
    with KubeflowHook() as hook:
        create(hook)
        before = kubeflow.count(CREATE)
        kubeflow.steer(lose_answers=1)
        with pytest.raises(KubeflowUnavailable) as error:
            create(hook)
        assert error.value.sent and kubeflow.count(CREATE) == before + 1 and len(kubeflow.runs) == 2
        kubeflow.steer(refusals=[None, None, 429])  # health, experiment, then the run: surely not acted on
        create(hook)
        assert len(kubeflow.runs) == 3


def test_terminating_what_has_ended_is_no_error(kubeflow: KubeflowServer) -> None:
    with KubeflowHook() as hook:
        run_id = create(hook)
        hook.terminate_run(run_id)
        hook.terminate_run(run_id)
        assert runs.state(hook.get_run(run_id)) == "CANCELED"
        asyncio.run(hook.aterminate_run(run_id))


def test_several_users(kubeflow: KubeflowServer, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeflow.steer(multi_user=True)
    with KubeflowHook() as hook, pytest.raises(KubeflowUserError, match="which namespace is yours"):
        hook.get_or_create_experiment("taxi")
    with KubeflowHook() as hook, pytest.raises(KubeflowUserError, match="403"):
        hook.get_or_create_experiment("taxi", "team-b")
    monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", kubeflow.connection(extra={"namespace": "team-a"}))
    with KubeflowHook() as hook:
        assert hook.get_or_create_experiment("taxi") == hook.get_or_create_experiment("taxi")
        assert hook.test_connection() == (
            True, f"Kubeflow Pipelines answers at {kubeflow.url} (several users, namespace team-a)."
        )  # fmt: skip


def test_a_token_of_a_file_is_read_for_every_request(
    kubeflow: KubeflowServer, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    file = tmp_path / "token"
    file.write_text("stale")
    connection = kubeflow.connection(password="", extra={"credentials_file": str(file)})
    monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", connection)
    with KubeflowHook() as hook:
        with pytest.raises(KubeflowUserError, match="401"):
            hook.health()
        file.write_text(f"{TOKEN}\n")
        hook.health()
        file.unlink()
        with pytest.raises(KubeflowUserError, match="token cannot be read: No such file"):
            hook.health()


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        connection = {"conn_type": "kubeflow", "host": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        connection |= {"extra": {"backoff": 0.01, "retries": 1}}
        monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", json.dumps(connection))
        began = time.monotonic()
        ok, message = KubeflowHook().test_connection()
    assert not ok and "does not answer" in message and time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"host": ""}, "where is KFP"),
        ({"host": "ftp://kfp"}, "no URL of http"),
        ({"host": "https://me:secret@kfp"}, "Put the token into the field token"),
        ({"password": "a\nb"}, "holds characters that no token has"),
        ({"extra": {"ca_file": "/no/such.pem"}}, "field ca_file: there is no file"),
        ({"extra": {"retries": "many"}}, "field retries: a number"),
        ({"extra": {"verify": "perhaps"}}, "field verify: true or false"),
    ],
)
def test_a_connection_that_cannot_be(fields: dict, told: str) -> None:
    connection = Connection(conn_id="kf", conn_type="kubeflow", **{"host": "https://kfp", **fields} | {"extra": None})
    with pytest.raises(KubeflowUserError, match="connection 'kf'") as error:
        Settings.from_connection(connection, fields.get("extra", {}))
    assert told in str(error.value) and "\n" not in str(error.value)


def test_settings() -> None:
    connection = Connection(
        conn_id="kf", conn_type="kubeflow", host="kfp.example.com/pipeline/", port=8443, password="s3cret"
    )
    settings = Settings.from_connection(connection, {"retries": "5", "verify": "false"})
    assert (settings.host, settings.retries, settings.verify) == ("https://kfp.example.com:8443/pipeline", 5, False)
    assert settings.link("1") == "https://kfp.example.com:8443/pipeline/#/runs/details/1"
    assert "s3cret" not in repr(settings)


@pytest.fixture
def tls(tmp_path: pathlib.Path) -> Iterator[tuple[str, str]]:
    """A host whose certificate no public authority has signed: its URL, and the certificate's file."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        str(key),
        "-out",
        str(certificate),
    ]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield f"https://127.0.0.1:{httpd.server_address[1]}", str(certificate)
    httpd.shutdown()
    httpd.server_close()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_of_ones_own_authority(tls: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    url, certificate = tls

    def told(**extra: object) -> str:
        connection = {"conn_type": "kubeflow", "host": url, "extra": {"retries": 0, **extra}}
        monkeypatch.setenv("AIRFLOW_CONN_KUBEFLOW_DEFAULT", json.dumps(connection))
        with KubeflowHook() as hook, pytest.raises(KubeflowUserError) as error:
            hook.health()
        return str(error.value)

    assert "its certificate is not trusted" in told() and "Set the connection's ca_file" in told()
    assert "says 404" in told(ca_file=certificate), "the host was reached"
    assert "says 404" in told(verify=False)
