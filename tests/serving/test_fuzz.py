"""Whatever is sent, the server says in a line what is wrong with it, and answers the next good request: the search, in short.

`python -m tests.serving.fuzz --minutes 60 --seed 1` searches for long. What it has found stands in the tests of what was mended.
"""

from __future__ import annotations

from typing import Any

import pytest
from fuzz import codecs, wire
from fuzz.lanes import Scheduling
from fuzz.properties import Property, quick


def names(properties: list[Property]) -> list[str]:
    return [one.name for one in properties]


@pytest.mark.parametrize("name", names(codecs.PROPERTIES))
def test_codecs(name: str) -> None:
    next(one for one in codecs.PROPERTIES if one.name == name).search(1, quick(60))


def test_scheduling() -> None:
    Scheduling().search(1, quick(60))


@pytest.mark.parametrize("name", names(wire.properties(None)))  # type: ignore[arg-type]
def test_a_running_server(name: str, server: Any) -> None:
    asked = wire.Wire(server)
    next(one for one in wire.properties(asked) if one.name == name).search(1, quick(8 if name == "raw_http" else 15))
    assert "Traceback" not in server.log()
