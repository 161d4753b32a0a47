"""The history of data quality on a real SQLite and, where one can be started, a real PostgreSQL."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import sqlite3
import threading

import pyarrow as pa
import pytest

from components.drift.distributions import numbers
from components.drift.profile import Profile
from components.gates import CheckResult, GateResult, Severity
from components.report.facts import ColumnFacts, ColumnStatistics, ComponentFacts, DatasetFacts, RunFacts
from quality.history import Change, Check, Column, History, HistoryError, Outcome, Release, Validation, runs
from quality.history._headline import headline, worst
from tests.servers import PASSWORD

WHOLE = Validation(
    "run-1", "taxi", 3, "2026-11-21T06:00:00+00:00", Outcome.WARNED, "It can be trained on, but look at it.",
    rows=400, quarantined=2, owner="data-team", data="s3://data/3", documents={"report": "/r.html"},
    checks=(Check("DataQuality", "nul\0and \ud800", False, "warning", "1 of 2", "fare", "expect", 1, 2,
                  evidence={"sample": [{"value": float("nan")}, {"value": "ü\0"}]}),),
    columns=(Column("fare", "float", 400, 0.1, None, 9.0, 2.0, 0.0, 50.0, {0.05: 1.0, 0.5: 8.0}, ((0.0, 1.0, 2.0),)),
             Column("kind", "text", 400, 0.0, 2, top_values=(("a", 300.0), ("", 1.0)))),
    changes=(Change("drift", "fare", "psi", 0.3, 0.2, "critical", "kind=a", "span 2"),),
)  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def history(request, tmp_path: pathlib.Path):
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/new folder/quality.sqlite"
    else:
        server = request.getfixturevalue("postgres")
        name = f"test_{abs(hash(request.node.name))}"
        server.create_database(name)
        url = server.url(name).replace("trainyard@", f"trainyard:{PASSWORD}@")
    with History.open(url) as opened:
        yield opened


def test_a_validation_comes_back_as_it_went(history: History) -> None:
    history.record(WHOLE, Release("taxi", 1, 3, "2026-11-21T07:00:00+00:00", "run-1"))
    found = history.load("run-1")
    assert found is not None
    assert dataclasses.replace(found, checks=()) == dataclasses.replace(WHOLE, checks=())
    (check,) = found.checks
    assert check.name == "nul\\0and \\ud800"  # what no database takes is shown, not lost with the whole record
    assert check.evidence == {"sample": [{"value": None}, {"value": "ü\\0"}]}
    assert found.changes[0].exceeded
    assert history.releases("taxi")[0].run_id == "run-1"
    assert history.failures(["run-1"]) == {"run-1": {"warning": 1}}
    assert history.load("run-2") is None and history.newest("nothing") is None


def test_recording_again_replaces_and_newest_is_by_time(history: History) -> None:
    history.record(WHOLE)
    history.record(dataclasses.replace(WHOLE, checks=(), headline="again"))
    history.record(dataclasses.replace(WHOLE, id="run-0", created_at="2026-11-22T06:00:00+00:00", span=2))
    assert [(v.id, v.span) for v in history.validations("taxi")] == [("run-0", 2), ("run-1", 3)]
    again = history.load("run-1")
    assert again is not None and again.headline == "again" and not again.checks and len(again.columns) == 2
    newest = history.newest("taxi")
    assert newest is not None and newest.id == "run-0"


def test_runs_that_end_at_the_same_time_lose_nothing(history: History) -> None:
    def record(worker: int) -> None:
        for nth in range(10):
            history.record(dataclasses.replace(WHOLE, id=f"{worker}-{nth}", workload=f"w{worker % 2}"))

    threads = [threading.Thread(target=record, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.validations()) == 40 and history.workloads() == ["w0", "w1"]


def test_other_tools_can_read_it(tmp_path: pathlib.Path) -> None:
    with History.open(f"sqlite:///{tmp_path}/q.sqlite") as history:
        history.record(WHOLE)
    rows = sqlite3.connect(tmp_path / "q.sqlite").execute(
        'select v.workload, v.span, c."column", c.severity from quality_checks c join quality_validations v on '
        "v.id = c.validation_id where not c.passes"
    )
    assert rows.fetchall() == [("taxi", 3, "fare", "warning")]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("bogus", "not an SQLAlchemy URL"),
        ("postgresql://me:secret@127.0.0.1:1/x", "me:\\*\\*\\*@127.0.0.1"),
        ("sqlite:////dev/null/q.sqlite", "cannot be opened"),
    ],
)
def test_a_store_that_cannot_be_opened_is_one_line(url: str, said: str) -> None:
    with pytest.raises(HistoryError, match=said) as raised:
        History.open(url)
    assert (
        "\n" not in str(raised.value) and "secret" not in str(raised.value) and "TRAINYARD_HISTORY" in str(raised.value)
    )


def test_a_newer_store_is_left_alone(tmp_path: pathlib.Path) -> None:
    History.open(f"sqlite:///{tmp_path}/q.sqlite").close()
    with sqlite3.connect(tmp_path / "q.sqlite") as connection:
        connection.execute("update quality_schema set version = 99")
    with pytest.raises(HistoryError, match=r"newer Trainyard.*99"):
        History.open(f"sqlite:///{tmp_path}/q.sqlite")


def test_a_store_of_an_earlier_day_gets_what_it_lacks(tmp_path: pathlib.Path) -> None:
    url = f"sqlite:///{tmp_path}/q.sqlite"
    with History.open(url) as history:
        history.record(WHOLE)
    with sqlite3.connect(tmp_path / "q.sqlite") as connection:
        connection.execute("drop index quality_checks_failed")
        connection.execute("alter table quality_validations drop column reference")
        connection.execute("alter table quality_checks drop column judged")
    for _ in range(2):
        with History.open(url) as history:
            one = history.load("run-1")
            assert one is not None and one.reference == "" and all(check.judged for check in one.checks)
            history.record(dataclasses.replace(WHOLE, id="run-2", reference="run-1"))
            assert history.failures(["run-1", "run-2"])["run-2"] == {"warning": 1}
    indexes = sqlite3.connect(tmp_path / "q.sqlite").execute("select name from sqlite_master where type = 'index'")
    assert ("quality_checks_failed",) in indexes.fetchall()


def test_what_was_not_judged_is_counted_apart_and_said(history: History) -> None:
    few = Check("DriftDetector", "leakage", False, "critical", "12 rows are too few", judged=False)
    late = Check("DataQuality", "late", False, "critical", "3 rows are late", "day")
    held = Check("DataQuality", "held", True, "critical")
    history.record(dataclasses.replace(WHOLE, checks=(few, late, held)))
    one = history.load("run-1")
    assert one is not None and one.checks[0] == few
    assert history.failures(["run-1"])["run-1"] == {"critical": 1, "not judged": 1}
    assert headline(Outcome.PASSED, [held, few]) == "It can be trusted: 1 checks hold. 1 was not judged."
    assert headline(Outcome.FAILED, [held, few]) == ("Do not train on it: one check of 2 could not be judged.")
    assert worst([few, late, held]) == [late, few]


def test_the_last_spans_of_every_workload(history: History) -> None:
    for workload in ("a", "b"):
        for span, again in ((1, ""), (2, ""), (2, "again"), (3, "")):
            at = f"2026-11-2{span}T0{6 + bool(again)}:00:00+00:00"
            one = dataclasses.replace(WHOLE, id=f"{workload}{span}{again}", workload=workload, span=span, created_at=at)
            history.record(one)
    asked = dataclasses.replace(WHOLE, id="asked", workload="b", span=None, source="serving", created_at="2026-11-29")
    history.record(asked)
    assert {one.id for one in history.newest_of_spans(2)} == {"a3", "a2again", "b3", "b2again"}
    assert [one.id for one in history.newest_of_models()] == ["asked"]
    assert history.count(["a"]) == 4


def facts(**changes) -> RunFacts:
    statistics = {
        "train": ColumnStatistics(
            0.1, 0.0, 2.0, 4.0, 1.0, None, ((0.0, 0.0), (0.5, 2.0), (1.0, 4.0)), ((0.0, 4.0, 90.0),)
        ),
        "eval": ColumnStatistics(
            0.0, 0.0, 6.0, 8.0, 1.0, None, ((0.0, 4.0), (0.5, 6.0), (1.0, 8.0)), ((4.0, 8.0, 10.0),)
        ),
    }
    check = CheckResult(
        "expect_x(fare)", False, Severity.WARNING, "1 of 90",
        {"column": "fare", "expectation": "expect_x", "element_count": 100, "missing_count": 10, "unexpected_count": 1},
    )  # fmt: skip
    known = {
        "workload": {"name": "taxi", "owner": "data-team"},
        "run_id": "run-7",
        "created_at": "2026-11-21T06:00:00+00:00",
        "gates": {"DataQuality": GateResult("data quality", (check,)), "Evaluator": GateResult("e", ())},
        "dataset": DatasetFacts({"train": 100, "eval": 10}, (ColumnFacts("fare", "float", statistics),)),
    }
    return RunFacts(**{**known, **changes})


def test_a_runs_gates_on_data_become_a_validation() -> None:
    found = runs.from_run(facts(), 5, {"report": "/r.html"})
    assert found is not None
    assert (found.id, found.span, found.outcome, found.rows) == ("run-7", 5, Outcome.WARNED, 110)
    assert found.headline == "It can be trained on, but look at it: one check of 1 warned, in fare."
    (check,) = found.checks
    assert (check.gate, check.unexpected, check.total, check.column) == ("DataQuality", 1, 90, "fare")
    (column,) = found.columns
    assert column.rows == 110 and column.missing == pytest.approx(10 / 110) and column.maximum == 8
    assert column.mean == pytest.approx((2 * 90 + 6 * 10) / 100)
    # 90 rows between 0 and 4, 10 between 4 and 8: the median of both lies at 0.5 / 0.9 of the first.
    assert column.quantiles[0.5] == pytest.approx(4 * 0.5 / 0.9)


def test_of_a_personal_column_no_value_is_kept() -> None:
    salary = numbers(pa.array([1234.5, 9876.5]))
    profile = Profile("span 5", {"": 2}, {"": {"fare": salary, "miles": salary}}, personal=("fare",))
    found = runs.from_run(facts(profile=json.loads(profile.to_json())), 5)
    assert found is not None
    fare, miles = found.columns
    assert (fare.name, fare.rows, fare.missing, fare.kind) == ("fare", 2, 0.0, "float")
    assert "1234.5" not in str(fare) and not fare.quantiles and "1234.5" in str(miles)


def test_a_run_that_broke_before_a_gate_is_not_judged_and_one_that_never_looked_leaves_nothing() -> None:
    broken = facts(
        gates={}, status="failed", error="span 3: part-2.csv ends in the middle of a row.",
        components=(ComponentFacts("ColumnarExampleGen", "failed"),), dataset=None,
    )  # fmt: skip
    found = runs.from_run(broken, 3)
    assert found is not None and found.outcome is Outcome.FAILED
    assert found.headline == "Not judged: span 3: part-2.csv ends in the middle of a row."
    trainer = facts(gates={}, status="failed", error="boom", components=(ComponentFacts("Trainer", "failed"),))
    assert runs.from_run(trainer, 3) is None


def test_quantiles_of_a_value_that_many_rows_share() -> None:
    """Thirty of a hundred rows are 0: every quantile up to 0.3 is."""
    points = ((0.0, 0.0), (0.1, 0.0), (0.2, 0.0), (0.3, 0.0), (1.0, 7.0))
    found = runs.mixed_quantiles([(points, 10.0)], (0.05, 0.3, 0.65))
    assert found == {0.05: 0.0, 0.3: 0.0, 0.65: pytest.approx(3.5)}
    assert runs.mixed_quantiles([], (0.5,)) == {} and json.dumps(found)
