"""Each image at its work, in a container with a read-only root and no rights."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator

import pytest

from model_store import STABLE, ModelStore, ReleaseDraft
from quality.provenance import code_of
from tests.docker.engine import RESTRICTED, docker

NODE = ("run", "--rm", "--network", "none", *RESTRICTED, "--entrypoint", "python")


def node(image: str, compiled: str, *options: str) -> tuple[int, str]:
    """Exit code and words of a Kubeflow node that was compiled from a revision."""
    command = ["-m", "pipelines.runners.kubeflow.node", "--node", "Trainer", "--spec", "x", "--run-id", "r"]
    done = docker(*NODE, *options, image, *command, "--revision", compiled, check=False)
    return done.returncode, done.stdout + done.stderr


def test_a_node_of_other_code_is_refused(pipeline_image: str) -> None:
    code, said = node(pipeline_image, "deadbeef0000")
    assert code == 2 and "deadbeef0000" in said and f"revision {code_of().revision}," in said


def test_an_image_without_a_revision_is_refused(pipeline_image: str) -> None:
    code, said = node(pipeline_image, code_of().revision, "--env", "TRAINYARD_CODE_REVISION=")
    assert code == 2 and "holds code revision unknown" in said


def test_a_node_of_the_same_code_gets_past_that(pipeline_image: str) -> None:
    code, said = node(pipeline_image, code_of().revision)
    assert code == 2 and "--spec" in said and "holds code revision" not in said


def test_the_command_line_answers(pipeline_image: str) -> None:
    done = docker("run", "--rm", "--network", "none", *RESTRICTED, pipeline_image, "run", "--help")
    assert "WORKLOAD" in done.stdout.upper() and "--span" in done.stdout


@pytest.fixture
def served(serving_image: str, tmp_path: pathlib.Path) -> Iterator[str]:
    """A container of the model server on a store with one small release; its id."""
    from tests.serving import saved_models

    store = ModelStore(tmp_path / "models")
    export = saved_models.save_digits(tmp_path / "export")
    release = store.publish("digits", export, ReleaseDraft(publication_key="digits-1", task="multiclass"))
    store.set_label("digits", STABLE, release.version, reason="test", actor="test")
    for path in (tmp_path / "models").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (tmp_path / "models").chmod(0o755)
    mount = ("--volume", f"{tmp_path / 'models'}:/models:ro")
    container = docker("run", "--detach", "--network", "none", *RESTRICTED, *mount, serving_image).stdout.strip()
    yield container
    docker("rm", "--force", container)


def test_the_server_becomes_healthy_and_predicts(served: str) -> None:
    deadline, health = time.monotonic() + 120, ""
    while health != "healthy" and time.monotonic() < deadline:
        health = docker("inspect", "--format", "{{.State.Health.Status}}", served).stdout.strip()
        time.sleep(0.5)
    assert health == "healthy", docker("logs", served).stderr
    body = json.dumps({"instances": [{"pixels": [0.0] * 64}]})
    ask = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], sys.argv[2].encode()).read().decode())"
    url = "http://127.0.0.1:8501/v1/models/digits:predict"
    answer = json.loads(docker("exec", served, "python", "-c", ask, url, body).stdout)
    assert len(answer["predictions"]) == 1


AIRFLOW: tuple[str, ...] = (
    "--tmpfs",
    "/opt/airflow/logs",
    "--env",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=sqlite:////tmp/airflow.db",
)
AIRFLOW += ("--env", "AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR")


@pytest.mark.parametrize("user", ["50000:0", "12345:0"], ids=["its own user", "any user of group 0"])
def test_airflow_has_every_dag(airflow_image: str, user: str) -> None:
    script = "airflow db migrate >/tmp/log 2>&1 || cat /tmp/log; airflow dags reserialize; "
    script += "airflow dags list-import-errors -o json; airflow dags list -o json"
    options = ("--rm", "--network", "none", *RESTRICTED, *AIRFLOW, "--user", user)
    said = docker("run", *options, airflow_image, "bash", "-c", script).stdout
    errors, dags = (json.loads(line) for line in said.splitlines() if line.startswith("["))
    assert errors == []
    found = {dag["dag_id"] for dag in dags}
    assert {f"{what}_{name}" for what in ("retrain", "deploy") for name in ("digits", "mnist", "taxi")} <= found


@pytest.mark.parametrize(
    "command", [["version"], ["airflow", "version"], ["bash", "-c", "airflow version"]], ids=" ".join
)
def test_airflows_entrypoint_has_its_habits(airflow_image: str, command: list[str]) -> None:
    options = ("--rm", "--network", "none", *RESTRICTED, *AIRFLOW)
    assert docker("run", *options, airflow_image, *command).stdout.startswith("3.")
