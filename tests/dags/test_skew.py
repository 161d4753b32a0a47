"""The daily look at what a model is asked: when there is nothing to compare, and what its verdict does to the task."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from dags.skew import SkewOperator
from model_store import ModelStore, ReleaseDraft


@pytest.fixture
def site(cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with a recorded request of a stable release, and the stand-in for the command."""
    (tmp_path / "record" / "taxi").mkdir(parents=True)
    (tmp_path / "record" / "taxi" / "1.jsonl").write_text("{}\n")
    monkeypatch.setenv("TRAINYARD_RECORD", str(tmp_path / "record"))
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "saved_model.pb").write_bytes(b"x")
    store = ModelStore(tmp_path / "home" / "models")
    store.publish("taxi", tmp_path / "export", ReleaseDraft(publication_key="1", task="binary"))
    store.promote("taxi", 1, reason="test", actor="test")
    return tmp_path


def say(site: Path, code: int, **said: object) -> None:
    (site / "said.json").write_text(json.dumps(said) if said else "")
    (site / "exit").write_text(str(code))


def task() -> SkewOperator:
    return SkewOperator(task_id="check_skew", workload="taxi")


def test_a_verdict_is_the_task_s(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_REPORTS_URL", "http://127.0.0.1:8088")
    page = site / "home" / "reports" / "taxi" / "validations" / "1" / "index.html"
    say(site, 0, headline="Nothing has moved.", outcome="passed", checks=[], page=str(page))
    one = task()
    assert one.execute({})["headline"] == "Nothing has moved."
    assert one.pages == {"data_quality_page": "http://127.0.0.1:8088/taxi/validations/1/index.html"}
    assert (site / "arguments").read_text().split()[3:] == ["skew", "taxi", "--since", "24h", "--json"]
    check = {"passes": False, "severity": "critical", "message": "fare: PSI 0.4"}
    say(site, 2, headline="fare has moved.", outcome="failed", checks=[check], page=str(page))
    one = task()
    with pytest.raises(AirflowFailException, match="fare has moved"):
        one.execute({})
    assert one.pages, "the page is linked where it is needed most"


def test_what_went_wrong_is_told_as_elsewhere(site: Path) -> None:
    say(site, 2)
    with pytest.raises(AirflowFailException):
        task().execute({})
    say(site, 1)
    with pytest.raises(AirflowException, match="exit code 1"):
        task().execute({})


def test_nothing_to_compare_is_a_skip(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "record" / "taxi" / "1.jsonl").unlink()
    with pytest.raises(AirflowSkipException, match="has no requests of it"):
        task().execute({})
    monkeypatch.setenv("TRAINYARD_STORE", str(site / "empty"))
    with pytest.raises(AirflowSkipException, match="no release is stable"):
        task().execute({})
    monkeypatch.delenv("TRAINYARD_RECORD")
    with pytest.raises(AirflowSkipException, match="no record of requests is kept"):
        task().execute({})
