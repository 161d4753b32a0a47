from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import conditional_s3_server, reach_s3, s3, s3_environment

__all__ = ["conditional_s3", "s3", "s3_environment"]


@pytest.fixture(scope="module")
def conditional_s3() -> Iterator[str]:
    """URL of an empty bucket on a server that checks conditions and writes in one step."""
    with conditional_s3_server() as environment, reach_s3(environment) as bucket:
        yield bucket
