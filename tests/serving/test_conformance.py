"""docs/reference/tf-serving-conformance.md says what the server does, and another client of TF Serving's is answered."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator

import conformance
import pytest
from conftest import Server
from own_environment import by_client


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from conformance.served(tmp_path_factory.mktemp("conformance"))


def test_the_page_is_what_a_server_answers(server: Server) -> None:
    written = pathlib.Path(conformance.PAGE).read_text(encoding="utf-8")
    assert written == conformance.page(server), "python tests/serving/conformance.py writes it anew"


def test_min_tfs_client(server: Server) -> None:
    """Its messages were made by a compiler of 2020, so it needs that time's protobuf."""
    found = by_client("min_tfs.py", server, "min-tfs-client==1.0.2", "protobuf==3.20.3")
    probability = found.pop("probability")
    assert found == {"prediction": [3.0, 4.0], "label": ["yes"], "version": 2}
    assert probability == [pytest.approx(1 / (1 + math.exp(-0.5)))]
