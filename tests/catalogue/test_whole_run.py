"""Two cases of the catalogue by the command itself: the taxi workload as it is, with its window of two spans."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

from pipelines import datasets
from spec import home
from tests.catalogue.cases import Case, csv, read
from tests.catalogue.damage import DAMAGE

GATES = ("ExampleValidator", "DataQuality", "DriftDetector")
CASES = {"cents for dollars": "DataQuality", "stale span": "DriftDetector"}


def run(root: pathlib.Path, span: int) -> dict[str, Any]:
    places = {name: str(root / name.lower()) for name in ("HOME", "DATA", "STORE")}
    environment = {**os.environ, **{f"TRAINYARD_{name}": place for name, place in places.items()}}
    command = [sys.executable, "-m", "cli.main", "run", "taxi", "--span", str(span), "--json"]
    command += [argument for gate in GATES for argument in ("--until", gate)]
    done = subprocess.run(command, env=environment, cwd=home.ROOT, capture_output=True, text=True, timeout=300)
    return {"code": done.returncode, **json.loads(done.stdout)}


def deliver(root: pathlib.Path, span: int, content: bytes) -> None:
    file = root / "data" / "taxi" / f"span-{span}" / "trips.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


@pytest.mark.slow
def test_the_command_refuses_what_the_catalogue_says(tmp_path: pathlib.Path) -> None:
    trips = {n: read(datasets.prepare("taxi", n, tmp_path / "source") / "trips.csv") for n in (1, 2)}
    deliver(tmp_path, 1, csv(trips[1]))
    assert run(tmp_path, 1)["code"] == 0
    for name, gate in CASES.items():
        case: Case = next(one for one in DAMAGE if one.name == name)
        (content,) = case.deliver(trips[1 if case.again else 2]).values()
        deliver(tmp_path, 2, content)
        found = run(tmp_path, 2)
        assert found["code"] == 2 and not {one["gate"]: one["passes"] for one in found["gates"]}[gate], found["error"]
        assert next(one["id"] for one in found["components"] if one["status"] == "failed") in GATES
    deliver(tmp_path, 2, csv(trips[2]))
    assert run(tmp_path, 2)["code"] == 0
