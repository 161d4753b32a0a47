"""Real images from this checkout. Without Docker every test here skips with the reason."""

from __future__ import annotations

import pytest

from tests.docker import engine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/docker/" in item.path.as_posix():
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """Skips where no container can run."""
    if reason := engine.why_no_engine():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def pipeline_image(docker_engine: None) -> str:
    """The pipeline image, target cpu: TRAINYARD_PIPELINE_IMAGE, else built from this checkout."""
    return engine.built("pipeline", "trainyard")


@pytest.fixture(scope="session")
def serving_image(docker_engine: None) -> str:
    """The model server's image: TRAINYARD_SERVING_IMAGE, else built from this checkout."""
    return engine.built("serving", "trainyard-serving")


@pytest.fixture(scope="session")
def airflow_image(docker_engine: None) -> str:
    """The Airflow image: TRAINYARD_AIRFLOW_IMAGE, else built from this checkout."""
    return engine.built("airflow", "trainyard-airflow")
