"""The demonstration where Airflow does more than it is asked: schedule and data may both start a run for one span."""

from __future__ import annotations

import pathlib
import types
from typing import Any

import pytest

from embedded.airflow_api import DagRun
from embedded.demonstration import _Demo
from pipelines import datasets

TRAINED = {"seconds": 1.0, "metrics": {"auc": 0.96}, "release": {"version": "2"}, "reports": {}}


def test_a_run_that_had_nothing_to_do_is_not_taken_for_the_spans(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets, "prepare", lambda *_: tmp_path)
    results = {"idle": None, "retrained": TRAINED}
    told: list[str] = []
    shown = types.SimpleNamespace(event=told.append, detail=told.append)
    platform: Any = types.SimpleNamespace(paths=types.SimpleNamespace(home=tmp_path))
    demo = _Demo(platform, shown)
    runs = iter(results)
    monkeypatch.setattr(demo, "next_run", lambda dag_id, what: DagRun(dag_id, next(runs), "success"))
    monkeypatch.setattr(demo, "follow", lambda run: run)
    demo.api = types.SimpleNamespace(result=lambda run, task: results[run.run_id])
    assert demo.retrain(span=2)["version"] == 2
    assert "All gates passed; released as version 2" in told
