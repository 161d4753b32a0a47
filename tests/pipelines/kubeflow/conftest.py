"""The servers of servers.py, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import reach_s3, s3_server


@pytest.fixture(scope="session")
def s3_environment() -> Iterator[dict[str, str]]:
    with s3_server() as environment:
        yield environment


@pytest.fixture(scope="module")
def s3(s3_environment: dict[str, str]) -> Iterator[str]:
    """URL of an empty bucket; this process and its children reach it."""
    with reach_s3(s3_environment) as bucket:
        yield bucket
