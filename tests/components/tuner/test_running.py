"""Processes of a search, killed for real."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import pytest

from components.tuner import _crew, _outcome, _running
from components.tuner._job import Job


@pytest.fixture(autouse=True)
def sleepy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_crew, "_MODULE", "tests.components.tuner.sleepy")


def test_a_killed_process_costs_a_trial_and_is_replaced(job: Callable[..., Job], tmp_path: pathlib.Path) -> None:
    """The first trial is lost once, the second twice."""
    (tmp_path / "deaths.json").write_text(json.dumps({"0": 1, "1": 2}))
    one = job(trials=8, parallel=2, sampler="random")
    found = _outcome.outcome(_running.search(one, lambda: None), one, {"train": 80, "eval": 20}, 1.0)
    assert found.record["counts"] == {"complete": 7, "pruned": 0, "failed": 0, "lost": 3}
    assert found.record["epochs"] == {"spent": 7 * 3 + 3 * 2, "full": 8 * 16}
    told = {one["number"]: one for one in found.record["trials"]}
    repeated = sorted((one for one in told.values() if "instead_of" in one), key=lambda one: one["instead_of"])
    assert [one["state"] for one in repeated] == ["complete", "lost"]
    assert all(one["values"] == told[one["instead_of"]]["values"] for one in repeated)
    best = max((one for one in told.values() if one["state"] == "complete"), key=lambda one: one["value"])
    assert (found.values, found.record["trial"]) == (best["values"], best["number"])
    assert found.record["importance"] == {"rate": pytest.approx(1.0)}
