from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowSkipException

from dags.assets import Landing, landing_of, new_data
from dags.retrain import arrived_spans, choose_span, release_event, schedule_of
from model_store import ModelStore, ReleaseDraft
from pipelines.workload import Workload


def workload(**changes: Any) -> Workload:
    return Workload.model_validate({"name": "taxi", "task": "binary", "data": {"label": {"column": "y"}}, **changes})


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    for span in (1, 2, 3):
        (tmp_path / f"span-{span}").mkdir()
    return Landing(tmp_path, r"span\-(\d+)")


def test_schedules() -> None:
    def of(schedule: dict[str, Any]) -> Any:
        one = workload(schedule=schedule)
        return schedule_of(one, new_data(one))

    assert [asset.name for asset in of({})] == ["taxi_data"]
    assert isinstance(of({"cron": "0 3 * * 1"}), AssetOrTimeSchedule)
    assert isinstance(of({"cron": "0 3 * * 1", "on_new_data": False}), CronTriggerTimetable)
    assert of({"on_new_data": False}) is None


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("{DATA}/{WORKLOAD}/span-{SPAN}/*", ("taxi", r"span\-(\d+)")),
        ("{DATA}/{WORKLOAD}/day-{SPAN}.csv", ("taxi", r"day\-(\d+)\.csv")),
        ("{DATA}/{WORKLOAD}/{SPAN}/part-*.parquet", ("taxi", r"(\d+)")),
        ("s3://bucket/taxi/span-{SPAN}/*", None),
        ("{DATA}/*/span-{SPAN}/*", None),
        ("{DATA}/taxi/all.csv", None),
    ],
)
def test_landing_folder_is_read_off_the_uri(uri: str, expected: tuple[str, str] | None, tmp_path: Path) -> None:
    found = landing_of(workload(data={"uri": uri, "label": {"column": "y"}}))
    assert found == (expected and Landing(tmp_path / "home" / "data" / expected[0], expected[1]))


def test_events_of_watcher_and_of_people() -> None:
    watcher = SimpleNamespace(extra={"from_trigger": True, "payload": {"spans": [2, 3]}})
    person = SimpleNamespace(extra={"spans": [5]})
    silent = SimpleNamespace(extra={})
    assert arrived_spans({"data": [watcher, person, silent]}) == {2, 3, 5}
    assert arrived_spans({}) == set()


def test_newest_span_is_chosen(landing: Landing) -> None:
    assert choose_span(None, set(), set(), landing, 1) == 3
    assert choose_span(None, {3}, set(), landing, 1) == 3
    assert choose_span(1, {3}, set(), landing, 1) == 1, "a person's choice goes first"
    assert choose_span(None, set(), set(), None, 1) is None


def test_span_within_the_window_is_trained_though_late(landing: Landing) -> None:
    assert choose_span(None, {2}, set(), landing, window=2) == 3


def test_span_too_late_to_matter_is_skipped(landing: Landing) -> None:
    with pytest.raises(AirflowSkipException, match="span 2 arrived late: the newest is 3"):
        choose_span(None, {2}, set(), landing, window=1)


def test_repeated_event_is_skipped(landing: Landing) -> None:
    with pytest.raises(AirflowSkipException, match="trained on before"):
        choose_span(None, {3}, {3}, landing, 1)


def test_release_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_STORE", str(tmp_path / "models"))
    outcome = {"workload": "taxi", "release": {"version": 4, "uri": "/m/4"}, "metrics": {"auc": 0.9}, "reports": {}}
    assert release_event(outcome)["version"] == 4
    with pytest.raises(AirflowSkipException, match=r"auc 0.7 is below 0.9"):
        release_event({"workload": "taxi", "release": None, "reasons": ["auc 0.7 is below 0.9"]})


def test_a_release_that_was_tried_before_is_no_news(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run on unchanged data names the release of the run before; the clock must not deploy again what was rolled back."""
    monkeypatch.setenv("TRAINYARD_STORE", str(tmp_path / "models"))
    store = ModelStore(str(tmp_path / "models"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"x")
    for key in ("a", "b"):
        draft = ReleaseDraft(key, "binary", [], "", {}, [], None, "run", "taxi")
        version = store.publish("taxi", tmp_path / "model", draft).version
        outcome = {"workload": "taxi", "release": {"version": version, "uri": ""}}
        assert release_event(outcome)["version"] == version
        store.promote("taxi", version, reason="deployed", actor="test")
    store.rollback("taxi", reason="worse", actor="test")
    with pytest.raises(AirflowSkipException, match=r"version 2 is no news: promote"):
        release_event({"workload": "taxi", "release": {"version": 2, "uri": ""}})
