"""Which span a run trains on, and whether it waits for it."""

from __future__ import annotations

import datetime
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from dags.assets import new_data
from dags.spans import arrived_spans, being_written, choose_span, find_span, parse_span, parse_spans, settle
from landing import locations, span_of_day
from spec.workload import Workload


def workload(uri: str = "{DATA}/{WORKLOAD}/span-{SPAN}/*", **schedule: Any) -> Workload:
    data = {"uri": uri, "label": {"column": "y"}}
    return Workload.model_validate(
        {"name": "taxi", "task": "binary", "data": data, "schedule": {"quiet_seconds": 0, **schedule}}
    )


@pytest.fixture
def landed(tmp_path: Path) -> Path:
    """The landing folder with spans 1 to 3."""
    folder = tmp_path / "home" / "data" / "taxi"
    for span in (1, 2, 3):
        (folder / f"span-{span}").mkdir(parents=True)
        (folder / f"span-{span}" / "a.csv").write_text("x\n1\n")
    return folder


class Stores(dict[Any, Any]):
    """Stands in for Airflow's state of assets."""

    def __missing__(self, asset: Any) -> Any:
        values: dict[str, str] = {}
        self[asset] = SimpleNamespace(get=values.get, set=values.__setitem__)
        return self[asset]


def context(stores: Stores, run: str, *arrived: int, span: Any = None) -> dict[str, Any]:
    event = SimpleNamespace(extra={"from_trigger": True, "payload": {"spans": list(arrived)}})
    return {
        "run_id": run,
        "params": {"span": span},
        "triggering_asset_events": {"data": [event]} if arrived else {},
        "asset_state_store": stores,
    }


def choose(folder: Path, arrived: set[int], window: int = 1) -> int | None:
    return choose_span(None, arrived, {}, locations(f"{folder}/span-{{SPAN}}/*"), window)


def test_events_of_watcher_and_of_people() -> None:
    watcher = SimpleNamespace(extra={"from_trigger": True, "payload": {"spans": [2, 3]}})
    person = SimpleNamespace(extra={"spans": [5]})
    silent = SimpleNamespace(extra={})
    assert arrived_spans({"data": [watcher, person, silent]}) == {2, 3, 5}
    assert arrived_spans({}) == set()


def test_newest_span_is_chosen(landed: Path) -> None:
    assert choose(landed, set()) == 3
    assert choose(landed, {3}) == 3
    assert choose_span(1, {3}, {}, {}, 1) == 1, "a person's choice goes first"
    assert choose(landed / "absent", set()) is None


def test_the_clock_passes_over_a_span_that_is_being_written(landed: Path) -> None:
    (landed / "span-3" / "b.csv.part").touch()
    assert choose(landed, set()) == 2


def test_span_within_the_window_is_trained_though_late(landed: Path) -> None:
    assert choose(landed, {2}, window=2) == 3
    (landed / "span-9").mkdir()
    (landed / "span-9" / "a.csv").write_text("x\n")
    assert choose(landed, {3}, window=2) == 9, "the window is of spans that there are, not of numbers"


def test_days_that_end_come_late_and_out_of_order(tmp_path: Path) -> None:
    folder, stores = tmp_path / "home" / "data" / "taxi", Stores()
    for day in ("2026-12-30", "2026-12-31"):
        (folder / day).mkdir(parents=True)
        (folder / day / "a.csv").write_text("x\n1\n")
    (folder / "2026-12-31" / "_temporary").mkdir()
    taxi = workload("{DATA}/{WORKLOAD}/{YYYY}-{MM}-{DD}/*")
    data, last = new_data(taxi), span_of_day(datetime.date(2026, 12, 31))
    at_midnight = find_span(taxi, data, context(stores, "scheduled"))
    assert at_midnight.xcom_value == last - 1, "the year's last day is still being written"
    (folder / "2026-12-31" / "_temporary").rmdir()
    assert find_span(taxi, data, context(stores, "event", last)).xcom_value == last
    settle(taxi, data, context(stores, "event", last), last)
    (folder / "2026-12-28").mkdir()
    (folder / "2026-12-28" / "a.csv").write_text("x\n1\n")
    with pytest.raises(AirflowSkipException, match="arrived late"):
        find_span(taxi, data, context(stores, "late", last - 3))
    both = find_span(taxi, data, context(stores, "out of order", last - 3, last))
    assert both.xcom_value == last, "an older one beside it does not hide the newest"


def test_span_too_late_to_matter_is_skipped(landed: Path) -> None:
    with pytest.raises(AirflowSkipException, match="span 2 arrived late: the newest is 3"):
        choose(landed, {2})


def test_repeated_event_is_skipped_and_a_mended_span_is_not(landed: Path) -> None:
    taxi, stores = workload(), Stores()
    data = new_data(taxi)
    first = context(stores, "first", 3)
    assert find_span(taxi, data, first).xcom_value == 3
    settle(taxi, data, first, 3)
    assert find_span(taxi, data, first).xcom_value == 3, "clearing the run's tasks trains again"
    with pytest.raises(AirflowSkipException, match="span 3 was trained on before"):
        find_span(taxi, data, context(stores, "second", 3))
    (landed / "span-3" / "a.csv").write_text("x\n1\n2\n")
    assert find_span(taxi, data, context(stores, "third", 3)).xcom_value == 3


def test_data_that_lands_twice_trains_once_and_other_bytes_train_again(landed: Path) -> None:
    taxi, stores = workload(), Stores()
    data = new_data(taxi)
    settle(taxi, data, context(stores, "first", 3), 3)
    (landed / "span-3" / "a.csv").write_text("x\n1\n")
    os.utime(landed / "span-3" / "a.csv", (0, 0))
    with pytest.raises(AirflowSkipException, match="span 3 was trained on before"):
        find_span(taxi, data, context(stores, "second", 3))
    (landed / "span-3" / "a.csv").write_text("x\n2\n")
    os.utime(landed / "span-3" / "a.csv", (0, 0))
    assert find_span(taxi, data, context(stores, "third", 3)).xcom_value == 3


def test_an_event_that_comes_after_its_span_was_trained_on_is_skipped(landed: Path) -> None:
    taxi, stores = workload(), Stores()
    data = new_data(taxi)
    settle(taxi, data, context(stores, "first", 2), 3)
    with pytest.raises(AirflowSkipException, match="span 3 was trained on before"):
        find_span(taxi, data, context(stores, "second", 3))


def test_what_an_older_trainyard_noted_does_not_count(landed: Path) -> None:
    taxi, stores = workload(), Stores()
    data = new_data(taxi)
    stores[data].set("handled_by_run_span_3", "scheduled__2026")
    assert find_span(taxi, data, context(stores, "second", 3)).xcom_value == 3


def test_a_span_that_is_asked_for_is_waited_for(landed: Path) -> None:
    taxi = workload()
    data = new_data(taxi)
    (landed / "span-2" / "_temporary").mkdir()
    assert not find_span(taxi, data, context(Stores(), "run", span=2)).is_done
    (landed / "span-2" / "_temporary").rmdir()
    assert find_span(taxi, data, context(Stores(), "run", span="2")).xcom_value == 2


def test_files_that_change_between_two_looks_are_being_written(landed: Path) -> None:
    import threading

    known = locations(f"{landed}/span-{{SPAN}}/*")
    assert being_written(known, 3, 0.1) == ""
    timer = threading.Timer(0.2, lambda: (landed / "span-3" / "b.csv").write_text("x"))
    timer.start()
    assert "have changed" in being_written(known, 3, 1.0)
    (landed / "span-3" / "_SUCCESS").touch()
    assert being_written(known, 3, 60) == "", "a marker is enough"


def test_folders_that_nobody_reads_are_named(landed: Path, caplog: pytest.LogCaptureFixture) -> None:
    (landed / "span-3" / "more").mkdir()
    with caplog.at_level("WARNING", logger="dags.spans"):
        find_span(workload(), new_data(workload()), context(Stores(), "run"))
    assert "the folder(s) more" in caplog.text


def test_data_without_spans_has_none(landed: Path) -> None:
    taxi = workload("{DATA}/taxi/all.csv")
    assert new_data(taxi).watchers == []
    assert find_span(taxi, new_data(taxi), context(Stores(), "run")).xcom_value is None


def test_spans_as_people_write_them() -> None:
    numbers, days = "/d/span-{SPAN}/*", "/d/{YYYY}{MM}{DD}/*"
    assert parse_span(None, numbers) is None and parse_span("", numbers) is None
    assert parse_span(0, numbers) == 0
    assert parse_span("1970-01-03", days) == 2
    assert parse_spans("3-5, 1", numbers) == [1, 3, 4, 5]
    assert parse_spans("2024-02-28..2024-03-01", days) == [19781, 19782, 19783], "a leap year"
    for bad in ("x", "5-3", "", "-1", "1-"):
        with pytest.raises(AirflowFailException):
            parse_spans(bad, numbers)
    with pytest.raises(AirflowFailException, match="a number or a day such as"):
        parse_span("2026-02-30", days)


def test_what_is_noted_is_one_small_value(landed: Path) -> None:
    taxi, stores = workload(), Stores()
    data = new_data(taxi)
    settle(taxi, data, context(stores, "run", 3), 3)
    assert json.loads(stores[data].get("handled_by_run_span_3"))["run"] == "run"


def test_events_that_say_nonsense_are_named_and_keep_no_other_from_its_turn(caplog) -> None:
    events = [
        SimpleNamespace(extra=extra)
        for extra in (
            {"spans": ["x", None, {}, True, 3]},
            {"spans": "12"},
            {"payload": [1]},
            ["spans"],
            {"spans": {"a": 1}},
        )
    ]
    with caplog.at_level("WARNING", logger="dags.spans"):
        assert arrived_spans({"data": [*events, SimpleNamespace(extra={"spans": ["9" * 25, 7]})]}) == {3, 7, 12}
    assert "they are passed over: ['x', None, {}, True]" in caplog.text


def test_spans_beyond_any_are_refused_before_they_are_counted_out() -> None:
    numbers, days = "/data/span-{SPAN}/*", "/data/{YYYY}/{MM}/{DD}/*"
    for asked, uri in (("1-20261128", numbers), (",".join(f"{n}00-{n}99" for n in range(1, 20)), numbers)):
        with pytest.raises(AirflowFailException, match="makes more than 1000 spans; that is the most for one run"):
            parse_spans(asked, uri)
    for asked, uri in (("9" * 25, numbers), ("99999999", days)):
        with pytest.raises(AirflowFailException, match="is beyond any that can be"):
            parse_span(asked, uri)
