"""What a retraining announces, and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from dags.kubeflow import outcome_of
from dags.links import report_links
from dags.operators import unchanged
from dags.release import release_event
from model_store import ModelStore, ReleaseDraft


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.setenv("TRAINYARD_STORE", str(tmp_path / "models"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"x")
    return ModelStore(str(tmp_path / "models"))


def publish(store: ModelStore, tmp_path: Path, key: str) -> int:
    draft = ReleaseDraft(key, "binary", [], "", {"overall": {"auc": 0.9}}, [], None, key, "taxi")
    return store.publish("taxi", tmp_path / "model", draft).version


def test_release_event(store: ModelStore) -> None:
    outcome = {"workload": "taxi", "release": {"version": 4, "uri": "/m/4"}, "metrics": {"auc": 0.9}, "reports": {}}
    assert release_event(outcome)["version"] == 4
    with pytest.raises(AirflowSkipException, match=r"auc 0.7 is below 0.9"):
        release_event({"workload": "taxi", "release": None, "reasons": ["auc 0.7 is below 0.9"]})


def test_a_release_that_was_tried_before_is_no_news(store: ModelStore, tmp_path: Path) -> None:
    """A run on unchanged data names the release of the run before; the clock must not deploy again what was rolled back."""
    for key in ("a", "b"):
        version = publish(store, tmp_path, key)
        outcome = {"workload": "taxi", "release": {"version": version, "uri": ""}}
        assert release_event(outcome)["version"] == version
        store.promote("taxi", version, reason="deployed", actor="test")
    store.rollback("taxi", reason="worse", actor="test")
    with pytest.raises(AirflowSkipException, match=r"version 2 is no news: promote"):
        release_event({"workload": "taxi", "release": {"version": 2, "uri": ""}})


def test_nothing_changed_is_a_skip_unless_a_release_was_never_announced(store: ModelStore, tmp_path: Path) -> None:
    def outcome(**changes: Any) -> dict[str, Any]:
        return {"workload": "taxi", "same_as": "r1", "components": [{"id": "Report"}], "release": None, **changes}

    assert "nothing has changed since run r1" in unchanged(outcome())
    assert unchanged(outcome(same_as=None)) == ""
    assert unchanged(outcome(components=[{"id": "DataQuality"}])) == "", "only the check was done before"
    version = publish(store, tmp_path, "a")
    assert unchanged(outcome(release={"version": version})) == "", "released, then killed before anybody was told"
    store.promote("taxi", version, reason="deployed", actor="test")
    assert unchanged(outcome(release={"version": version}))


def test_a_run_on_kubeflow_is_found_by_its_id(store: ModelStore, tmp_path: Path) -> None:
    version = publish(store, tmp_path, "kfp-run-1")
    run = {"run_id": "kfp-run-1", "ui": "https://kfp/runs/1", "seconds": 60}
    found = outcome_of("taxi", run)
    assert found["release"]["version"] == version and found["metrics"] == {"auc": 0.9}
    other = outcome_of("taxi", run | {"run_id": "kfp-run-2"})
    assert other["release"] is None and "https://kfp/runs/1" in other["reasons"][0]


def test_reports_are_links_where_they_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = {"run": str(tmp_path / "home" / "runs" / "taxi" / "r" / "report.html"), "data_quality": None}
    assert report_links(reports) == {"run": reports["run"]}
    monkeypatch.setenv("TRAINYARD_REPORTS_URL", "https://reports.example.com/")
    assert report_links(reports) == {"run": "https://reports.example.com/runs/taxi/r/report.html"}
    page, url = tmp_path / "home" / "reports" / "taxi" / "index.html", "https://reports.example.com/taxi/index.html"
    assert report_links({"page": str(page), "url": url}) == {"page": url}, "the same place, told twice"
