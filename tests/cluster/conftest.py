"""A real API server for all tests here. Where Go or its module proxy is out of reach, each of them skips with the reason."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.api_server import ApiServer, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/cluster/" in item.path.as_posix():
            item.add_marker(pytest.mark.cluster)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with running(tmp_path_factory.mktemp("cluster")) as it:
        yield it
