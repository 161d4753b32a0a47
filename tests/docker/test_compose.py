"""docker/compose.yaml, run: from nothing to a prediction, and the same answer after everything was taken down and started again."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Iterator

import pytest

from embedded.airflow_api import FINISHED
from pipelines import datasets
from tests.docker.compose_platform import ComposePlatform, find_compose, scheduler_image, service_images

ROW = {
    "fare": 16.45,
    "trip_miles": 6.9,
    "trip_start_hour": 12,
    "trip_start_day": 3,
    "trip_start_month": 11,
    "payment_type": "Credit Card",
}
WRITE = """
import s3fs
store = s3fs.S3FileSystem()
print(len(store.ls("trainyard/models/taxi")) > 0)
try:
    store.pipe_file("trainyard/models/taxi/planted", b"")
except PermissionError as error:
    print(error)
"""
EXECUTIONS = (
    "PGPASSWORD=$METADATA_DB_PASSWORD psql -h 127.0.0.1 -U trainyard -tAc "
    "'SELECT count(*) FROM execution JOIN type ON type.id = type_id WHERE type.name LIKE $$%Trainer%$$'"
)
READ_AIRFLOW = "PGPASSWORD=$METADATA_DB_PASSWORD psql -h 127.0.0.1 -U trainyard -d airflow -tAc 'SELECT 1' 2>&1 || true"


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, pipeline_image: str, serving_image: str, airflow_image: str
) -> Iterator[ComposePlatform]:
    command = find_compose()
    if command is None:
        pytest.skip("Docker Compose 2 is not installed")
    if shutil.which("go") is None:
        pytest.skip("Go is not installed; the S3 store's stand-in is built from source")
    folder = tmp_path_factory.mktemp("compose")
    images = {
        "TRAINYARD_PIPELINE_IMAGE": pipeline_image,
        "TRAINYARD_SERVING_IMAGE": serving_image,
        "TRAINYARD_AIRFLOW_IMAGE": airflow_image,
        "TRAINYARD_SCHEDULER_IMAGE": scheduler_image(pipeline_image, airflow_image),
        **service_images(folder),
    }
    # pytest's folders are for their owner alone; the containers' users look into this one.
    for parent in (folder, folder.parent, folder.parent.parent):
        parent.chmod(0o755)
    running = ComposePlatform(folder, command, images)
    try:
        running.start()
        yield running
    finally:
        running("down", "--volumes", "--timeout", "20")


@pytest.mark.timeout(1800)
def test_a_span_becomes_a_served_model_that_outlives_its_containers(
    platform: ComposePlatform, tmp_path: pathlib.Path
) -> None:
    datasets.prepare("taxi", 1, tmp_path / "taxi")
    platform.land(tmp_path / "taxi" / "span-1")
    api = platform.airflow()
    for dag in ("retrain_taxi", "deploy_taxi"):
        platform.wait(lambda dag=dag: bool(api.runs(dag)), 120, f"a run of {dag}")
        platform.wait(lambda dag=dag: api.runs(dag)[0].state in FINISHED, 900, f"the run of {dag} ends")
        assert [run.state for run in api.runs(dag)] == ["success"], platform.logs()
    answer = platform.ask(ROW)

    # The metadata lie in PostgreSQL, whose accounts keep to their databases; the server's key reads and no more.
    assert int(platform("exec", "-T", "postgres", "sh", "-c", EXECUTIONS)) >= 1
    assert "permission denied" in platform("exec", "-T", "postgres", "sh", "-c", READ_AIRFLOW)
    assert platform("exec", "-T", "model-server", "python", "-c", WRITE).split("\n")[:2] == ["True", "Access Denied."]

    platform("down")
    platform.start()
    assert platform.ask(ROW) == answer
    assert [run.state for run in platform.airflow().runs("retrain_taxi")] == ["success"]
