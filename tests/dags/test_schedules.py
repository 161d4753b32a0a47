"""When DAGs start: new data, the clock, and the clock on the days when it is changed."""

from __future__ import annotations

import datetime
import zoneinfo
from typing import Any

import pytest
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable as CoreTimetable

from dags.assets import LOCAL_POLL_SECONDS, REMOTE_POLL_SECONDS, new_data
from dags.data_quality import build_data_quality_dag
from dags.retrain import schedule_of
from spec.workload import Workload, WorkloadError


def workload(schedule: dict[str, Any] | None = None, uri: str = "{DATA}/{WORKLOAD}/span-{SPAN}/*") -> Workload:
    data = {"uri": uri, "label": {"column": "y"}}
    return Workload.model_validate({"name": "taxi", "task": "binary", "data": data, "schedule": schedule or {}})


def test_schedules() -> None:
    def of(schedule: dict[str, Any]) -> Any:
        one = workload(schedule)
        return schedule_of(one, new_data(one))

    assert [asset.name for asset in of({})] == ["taxi_data"]
    assert isinstance(of({"cron": "0 3 * * 1"}), AssetOrTimeSchedule)
    assert isinstance(of({"cron": "0 3 * * 1", "on_new_data": False}), CronTriggerTimetable)
    assert of({"on_new_data": False}) is None
    assert build_data_quality_dag(workload({"quality_cron": None})).schedule is None
    with pytest.raises(WorkloadError, match=r"workload\.yaml, field schedule\.cron: not a cron expression"):
        of({"cron": "x * * * *"})  # what the model leaves to Airflow


@pytest.mark.parametrize(
    ("uri", "poll_seconds"),
    [
        ("{DATA}/{WORKLOAD}/span-{SPAN}/*", LOCAL_POLL_SECONDS),
        ("{DATA}/*/{YYYY}-{MM}-{DD}.csv", LOCAL_POLL_SECONDS),
        ("s3://bucket/taxi/span-{SPAN}/*", REMOTE_POLL_SECONDS),
        ("{DATA}/taxi/all.csv", None),
    ],
)
def test_whatever_has_spans_is_watched(uri: str, poll_seconds: float | None) -> None:
    triggers = [watcher.trigger for watcher in new_data(workload(uri=uri)).watchers]
    assert [one.poll_seconds for one in triggers] == ([] if poll_seconds is None else [poll_seconds])


def test_data_may_lie_where_only_the_cluster_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_DATA", "s3://trainyard/data/")
    (watcher,) = new_data(workload()).watchers
    assert watcher.trigger.uri == "s3://trainyard/data/taxi/span-{SPAN}/*"


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        # 02:30 does not exist on 29 March 2026 in Berlin, and exists twice on 25 October 2026.
        (datetime.date(2026, 3, 28), ["2026-03-28T02:30+01:00", "2026-03-29T03:30+02:00", "2026-03-30T02:30+02:00"]),
        (datetime.date(2026, 10, 24), ["2026-10-24T02:30+02:00", "2026-10-25T02:30+01:00", "2026-10-26T02:30+01:00"]),
    ],
)
def test_summer_time_begins_and_ends_with_one_run_a_day(around: datetime.date, expected: list[str]) -> None:
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    clock = CoreTimetable("30 2 * * *", timezone="Europe/Berlin")
    at = datetime.datetime.combine(around, datetime.time(0, 0), zone)
    ticks: list[str] = []
    last = None
    for _ in range(3):
        info = clock.next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(earliest=_p(at), latest=None, catchup=True)
        )
        assert info is not None
        last = info.data_interval
        ticks.append(info.run_after.astimezone(zone).isoformat(timespec="minutes"))
    assert ticks == expected


def test_a_tick_at_a_days_end_is_of_the_workloads_day() -> None:
    one = workload({"cron": "0 0 * * *", "timezone": "Asia/Kolkata", "on_new_data": False})
    declared = schedule_of(one, new_data(one))
    clock = CoreTimetable(declared.expression, timezone=declared.timezone)
    at = datetime.datetime(2026, 12, 31, 18, 0, tzinfo=datetime.UTC)
    info = clock.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(earliest=_p(at), latest=None, catchup=True)
    )
    assert info is not None
    assert info.run_after == datetime.datetime(2026, 12, 31, 18, 30, tzinfo=datetime.UTC), "midnight there, not in UTC"


def _p(moment: datetime.datetime) -> Any:
    import pendulum

    return pendulum.instance(moment)
