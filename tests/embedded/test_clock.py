"""Bad days of the clock, under a real scheduler: a retraining longer than its schedule, and a day's end.

Nobody waits for midnight: the second workload lives in a time zone of the test's own, where it is a minute away.
"""

from __future__ import annotations

import datetime
import itertools
import json
import os
import struct
import zoneinfo
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from embedded.airflow_api import DagRun
from embedded.processes import end_marked
from landing import span_of_day
from tests.embedded.conftest import Home, Running, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MINUTE = datetime.timedelta(minutes=1)
WORKLOAD = """
name: {name}
task: binary
owner: team-a
data: {{uri: "{{DATA}}/{{WORKLOAD}}/{spans}/*", label: {{column: y}}}}
schedule: {{cron: "{cron}", timezone: {zone}, on_new_data: {on_new_data}, quality_cron: null, quiet_seconds: 1}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, environments: Path) -> Iterator[Path]:
    """A site's folder: its workloads, and its time zones beside the world's."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "workloads").mkdir()
    (folder / "zones" / "Test").mkdir(parents=True)
    return folder


@pytest.fixture(scope="module")
def platform(site: Path, environments: Path) -> Iterator[Running]:
    home = Home(site / "home", environments)
    zones = os.pathsep.join([str(site / "zones"), *zoneinfo.TZPATH])
    supervisor = home.start("up", TRAINYARD_WORKLOADS=str(site / "workloads"), PYTHONTZPATH=zones)
    try:
        home.wait_until_up(supervisor)
        yield Running(home)
    finally:
        supervisor.terminate()
        supervisor.wait(timeout=60)
        end_marked(home.folder, grace_seconds=0)


def add_workload(platform: Running, site: Path, name: str, **fields: Any) -> None:
    (site / "workloads" / name).mkdir()
    (site / "workloads" / name / "workload.yaml").write_text(WORKLOAD.format(name=name, **fields))
    wait_for(lambda: platform.api.dag_is_loaded(f"retrain_{name}"), 60, f"the DAGs of {name} are loaded")


def land(platform: Running, workload: str, name: str, **steering: Any) -> None:
    """Lets a span appear in one rename, marked as whole."""
    folder = platform.home.folder / "data" / workload
    aside = folder / f".{name}"
    aside.mkdir(parents=True)
    (aside / "outcome.json").write_text(json.dumps(steering))
    (aside / "_SUCCESS").touch()
    aside.rename(folder / name)


def times_of(platform: Running, run: DagRun) -> tuple[datetime.datetime, datetime.datetime, datetime.datetime]:
    """When a run was due, began and ended."""
    told = platform.api._get(f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}")
    due, began, ended = (datetime.datetime.fromisoformat(told[key]) for key in ("run_after", "start_date", "end_date"))
    return due, began, ended


def has_trained(tasks: dict[str, str | None]) -> bool:
    return tasks["train"] == "success"


def test_a_retraining_longer_than_its_schedule(platform: Running, site: Path) -> None:
    land(platform, "slow", "span-1", seconds=125, blessed=False, reasons=["worse"])
    add_workload(platform, site, "slow", spans="span-{SPAN}", cron="* * * * *", zone="UTC", on_new_data="false")
    first = platform.next_run("retrain_slow", 90)
    wait_for(lambda: any(x.startswith("pid ") for x in platform.api.log_lines(first, "train")), 60, "it trains")
    land(platform, "slow", "span-2", blessed=False, reasons=["worse"])
    runs = [first]
    ended = [platform.finished(first, 240)]
    for _ in range(2):
        runs.append(platform.next_run("retrain_slow", 90))
        ended.append(platform.finished(runs[-1]))
    assert [platform.api.result(run, "resolve_span") for run in runs] == [1, 2, 2]
    assert [(state, has_trained(tasks)) for state, tasks in ended] == [
        ("success", True),
        ("success", True),
        ("success", False),
    ], "each span once; the last run found nothing new"
    times = [times_of(platform, run) for run in runs]
    due, _, over = times[0]
    assert over - due > 2 * MINUTE, "two ticks came while it trained"
    assert times[1][0] <= over < times[2][0], "one run for both of them"
    for (_, _, before), (_, began, _) in itertools.pairwise(times):
        assert began >= before, "one at a time"


def add_zone(site: Path, name: str, offset: datetime.timedelta) -> None:
    """A time zone without summer time, as zic would compile it (RFC 9636)."""
    seconds = int(offset.total_seconds())
    sign, (hours, minutes) = "+" if seconds >= 0 else "-", divmod(abs(seconds) // 60, 60)
    abbreviation = f"{sign}{hours:02}{minutes:02}"
    block = struct.pack(">4sc15x6l", b"TZif", b"2", 0, 0, 0, 0, 1, len(abbreviation) + 1)
    block += struct.pack(">lbb", seconds, 0, 0) + abbreviation.encode() + b"\0"
    footer = f"\n<{abbreviation}>{'-' if sign == '+' else ''}{hours:02}:{minutes:02}\n"
    (site / "zones" / name).write_bytes(block * 2 + footer.encode())


def zone_where_midnight_is(site: Path, at: datetime.datetime) -> tuple[str, datetime.date]:
    """Makes one; its name, and the day that ends then."""
    minutes = -(at.hour * 60 + at.minute) % (24 * 60)
    offset = datetime.timedelta(minutes=minutes if minutes <= 12 * 60 else minutes - 24 * 60)
    add_zone(site, name := f"Test/Midnight{at:%H%M}", offset)
    return name, (at + offset - MINUTE).date()


def test_a_day_ends_while_its_span_is_being_written(platform: Running, site: Path) -> None:
    midnight = datetime.datetime.now(datetime.UTC).replace(second=0, microsecond=0) + 2 * MINUTE
    zone, today = zone_where_midnight_is(site, midnight)
    yesterday = today - datetime.timedelta(days=1)
    folder = platform.home.folder / "data" / "daily"
    land(platform, "daily", f"{yesterday}")
    (folder / f"{today}" / "_temporary").mkdir(parents=True)
    (folder / f"{today}" / "outcome.json").write_text("{}")
    add_workload(platform, site, "daily", spans="{YYYY}-{MM}-{DD}", cron="0 0 * * *", zone=zone, on_new_data="true")

    run = platform.next_run("retrain_daily")
    state, tasks = platform.finished(run)
    assert (state, has_trained(tasks)) == ("success", True)
    assert platform.api.result(run, "resolve_span") == span_of_day(yesterday)
    assert datetime.datetime.now(datetime.UTC) < midnight, "a machine too slow for this test: midnight has passed"

    at_midnight = platform.next_run("retrain_daily", 180)
    state, tasks = platform.finished(at_midnight)
    assert times_of(platform, at_midnight)[0] == midnight
    assert (state, has_trained(tasks)) == ("success", False), "the day's span is not whole, the one before is done"
    assert platform.api.result(at_midnight, "resolve_span") == span_of_day(yesterday)

    (folder / f"{today}" / "_temporary").rmdir()
    (folder / f"{today}" / "_SUCCESS").touch()
    run = platform.next_run("retrain_daily")
    state, tasks = platform.finished(run)
    assert (state, has_trained(tasks)) == ("success", True)
    assert platform.api.result(run, "resolve_span") == span_of_day(today)

    land(platform, "daily", f"{today - datetime.timedelta(days=3)}")
    late = platform.next_run("retrain_daily")
    assert platform.finished(late)[1]["resolve_span"] == "skipped", "three days late: nobody looks at it any more"
    assert list(platform.rest_of("retrain_daily")) == [], "no tick was made up for, and no span is trained on twice"
