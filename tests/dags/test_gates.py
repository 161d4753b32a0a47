"""The gates' own tasks: whose verdict they tell, what a cleared one does, and what is no gate's refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from dags.gates import READ, GateOperator, ReadDataOperator, is_refusal
from spec import graph


class Ti:
    """A task's view of the XComs of its run."""

    def __init__(self, **returned: Any) -> None:
        self.returned = returned

    def xcom_pull(self, task_ids: str) -> Any:
        return self.returned[task_ids]


def found(**refused: str) -> dict[str, Any]:
    gates = [
        {
            "gate": record.id,
            "passes": record.id not in refused,
            "summary": f"{record.id}: {refused.get(record.id, 'fine')}",
            "findings": [],
        }
        for record in graph.data_gates()
    ]
    status = "failed" if refused else "succeeded"
    components = [{"id": gate["gate"], "status": "succeeded" if gate["passes"] else "failed"} for gate in gates]
    return {"run_id": "first", "status": status, "error": "; ".join(refused.values()), "gates": gates} | {
        "components": components
    }


def say(cli: Path, outcome: dict[str, Any], code: int) -> None:
    (cli / "said.json").write_text(json.dumps(outcome))
    (cli / "exit").write_text(str(code))


def gate_task(node: str) -> GateOperator:
    return GateOperator(task_id="check", workload="taxi", span_of="resolve_span", gate=node)


def test_each_gate_tells_its_own_verdict() -> None:
    ti = Ti(**{READ: found(DataQuality="fare is null in 40 rows")})
    assert gate_task("ExampleValidator").execute({"ti": ti, "task_state_store": Store()})["passes"]
    with pytest.raises(AirflowFailException, match="fare is null in 40 rows"):
        gate_task("DataQuality").execute({"ti": ti, "task_state_store": Store()})


def test_a_gate_that_was_not_reached_is_skipped_and_one_that_is_missing_may_be_tried_again() -> None:
    outcome = found(ExampleValidator="no column fare")
    outcome["gates"] = outcome["gates"][:1]
    with pytest.raises(AirflowSkipException, match="was not asked: no column fare"):
        gate_task("DriftDetector").execute({"ti": Ti(**{READ: outcome}), "task_state_store": Store()})
    outcome = found() | {"gates": []}
    with pytest.raises(AirflowException, match="says nothing of DriftDetector"):
        gate_task("DriftDetector").execute({"ti": Ti(**{READ: outcome}), "task_state_store": Store()})


def test_a_cleared_gate_looks_at_the_data_again_alone(cli: Path) -> None:
    ti, store = Ti(**{READ: found(DataQuality="40 rows"), "resolve_span": 3}), Store()
    task = gate_task("DataQuality")
    for code, outcome in ((2, found(DataQuality="40 rows") | {"run_id": "second"}), (0, found() | {"run_id": "third"})):
        with pytest.raises(AirflowFailException):
            task.execute({"ti": ti, "task_state_store": store})
        say(cli, outcome, code)
    assert task.execute({"ti": ti, "task_state_store": store})["passes"]
    asked = (cli / "arguments").read_text().splitlines()
    assert asked == ["-P -m cli.main run taxi --json --span 3 --until DataQuality"] * len(asked) and asked
    ti.returned[READ] = found() | {"run_id": "of all cleared"}
    assert task.execute({"ti": ti, "task_state_store": store})["passes"]
    assert (cli / "arguments").read_text().splitlines() == asked, "what read_data has found since is taken"


def test_pages_are_kept_for_the_links_before_a_task_fails(
    cli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINYARD_REPORTS_URL", "http://127.0.0.1:8088/")
    home = tmp_path / "home"
    reports = {
        "run": f"{home}/runs/taxi/r/report.html",
        "data_quality_page": f"{home}/reports/taxi/validations/r/index.html",
        "data_quality": f"{home}/pipelines/taxi/DataQuality/data_quality/7/data_docs/index.html",
    }
    say(cli, {"error": "trips.csv: no such column", "reports": reports}, 2)
    task = ReadDataOperator(task_id=READ, workload="taxi", span_of="resolve_span")
    with pytest.raises(AirflowFailException, match="no such column"):
        task.execute({"ti": Ti(resolve_span=None)})
    links = {link.name: link.get_link(task, ti_key=None) for link in task.operator_extra_links}
    assert links == {
        "Report": "http://127.0.0.1:8088/runs/taxi/r/report.html",
        "Data quality": "http://127.0.0.1:8088/taxi/validations/r/index.html",
    }
    monkeypatch.delenv("TRAINYARD_REPORTS_URL")
    with pytest.raises(AirflowFailException):
        task.execute({"ti": Ti(resolve_span=None)})
    assert task.pages == {}, "a path is no address that a browser could open"


def test_only_refusals_leave_read_data_green() -> None:
    outcome = found(DataQuality="40 rows")
    assert is_refusal(2, outcome)
    assert not is_refusal(1, outcome), "the machine's fault is tried again"
    assert not is_refusal(0, found())
    broken = {"id": "DriftDetector", "status": "failed"}
    assert not is_refusal(2, outcome | {"gates": outcome["gates"][:2], "components": [*outcome["components"], broken]})


class Store(dict[str, str]):
    """Airflow's state store of a task, over its tries."""

    def set(self, key: str, value: str) -> None:
        self[key] = value


def test_a_gate_that_the_graph_gains_has_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow reads its record alone; tests/pipelines/test_added_component.py runs it."""
    place = graph.TRAINING.index("components.transform")
    monkeypatch.setattr(graph, "TRAINING", (*graph.TRAINING[:place], "tests.added_component", *graph.TRAINING[place:]))
    dag = DagBag(Path(__file__).resolve().parents[2] / "dags").dags["data_quality_taxi"]
    task = dag.get_task("check_rows")
    assert task.upstream_task_ids == {READ} and task.until == ("RowCount",)
    assert "Does the span have rows enough" in task.doc_md and "lower the bar of taxi" in task.doc_md
    assert dag.get_task(READ).until == ("ExampleValidator", "DataQuality", "DriftDetector", "RowCount")
