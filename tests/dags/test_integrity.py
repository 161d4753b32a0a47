"""Every workload's DAGs load and keep to the house's rules; a broken workload takes no other along."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

from dags import factory
from spec import home
from spec.workload import Workload, workload_names

DAGS = Path(__file__).resolve().parents[2] / "dags"
GOOD = "name: {name}\ntask: binary\nowner: team-a\ndata:\n  label:\n    column: y\n"
FULL = GOOD + (
    "schedule: {{cron: '0 3 * * 1', timezone: Europe/Berlin, deadline_minutes: 90}}\n"
    "batch: {{uri: '{{DATA}}/_inbox/{{WORKLOAD}}/*.csv'}}\n"
)
SITE = {"backfill", "housekeeping"}


@pytest.fixture
def workloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of workloads: one good, one with all that Airflow may be told, one of every way to be broken."""
    broken = {
        "typo": GOOD.format(name="typo") + "traning:\n  epochs: 3\n",
        "range": GOOD.format(name="range") + "training:\n  epochs: 0\n",
        "clock": GOOD.format(name="clock") + "schedule:\n  cron: 61 * * * *\n",
        "look": GOOD.format(name="look") + "monitoring:\n  cron: 61 * * * *\n",
        "zone": GOOD.format(name="zone") + "schedule:\n  timezone: Europe/Atlantis\n",
        "mail": GOOD.format(name="mail") + "alerts:\n  email: [nobody]\n",
        "yaml": "name: [\n",
    }
    for name, text in {"good": GOOD.format(name="good"), "full": FULL.format(name="full"), **broken}.items():
        (tmp_path / "workloads" / name).mkdir(parents=True)
        (tmp_path / "workloads" / name / "workload.yaml").write_text(text)
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path / "workloads"))
    return tmp_path / "workloads"


def kinds_of(name: str, *more: str) -> set[str]:
    return {f"{kind}_{name}" for kind in ("retrain", "deploy", "data_quality", "monitor", *more)}


def test_all_workloads_load() -> None:
    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    names = workload_names(home.workloads_root())
    assert {d for d in bag.dag_ids if not d.startswith("batch_predict_")} == SITE.union(*map(kinds_of, names))


def test_only_the_dag_files_are_parsed() -> None:
    bag = DagBag(DAGS)
    parsed = {Path(stat.file.lstrip("/")).name for stat in bag.dagbag_stats}
    assert parsed == {"workloads.py", "broken_workloads.py"}


def test_every_task_tells_an_operator_what_to_do(workloads: Path) -> None:
    bag = DagBag(DAGS)
    assert {"retrain_full", "batch_predict_full", *SITE} <= set(bag.dag_ids)
    for dag in bag.dags.values():
        assert "trainyard" in dag.tags and len(dag.tags) > 1, dag.dag_id
        assert dag.doc_md and dag.description, dag.dag_id
        workload = next((name for name in ("good", "full") if dag.dag_id.endswith(f"_{name}")), None)
        assert workload is None or workload in dag.tags, f"{dag.dag_id}: the list's filter finds a workload by its tag"
        assert dag.max_active_runs == 1 or dag.dag_id == "backfill"
        assert not dag.catchup, dag.dag_id
        for one in dag.tasks:
            where = f"{dag.dag_id}.{one.task_id}"
            assert one.doc_md and len(one.doc_md) > 40, where
            assert one.owner not in ("", "airflow"), where
            assert one.execution_timeout is not None, where
            assert one.retries >= 1, where
            assert one.on_failure_callback, where


def test_a_declared_deadline_becomes_an_alert(workloads: Path) -> None:
    (alert,) = DagBag(DAGS).dags["retrain_full"].deadline or []
    assert alert.interval.total_seconds() == 90 * 60
    assert alert.callback.path == "dags.alerts.deadline_passed"
    assert DagBag(DAGS).dags["retrain_good"].deadline is None


def test_the_scheduler_gets_all_that_it_needs(workloads: Path) -> None:
    """DAGs, triggers, deadlines and parameters through Airflow's database and back."""
    from airflow.serialization.serialized_objects import DagSerialization

    for dag in DagBag(DAGS).dags.values():
        stored = json.loads(json.dumps(DagSerialization.to_dict(dag)))
        again = DagSerialization.from_dict(stored)
        assert again.dag_id == dag.dag_id and set(again.task_dict) == set(dag.task_dict)
        assert len(again.deadline or []) == len(dag.deadline or []), dag.dag_id


def edges(dag: DAG) -> set[tuple[str, str]]:
    return {(one.task_id, after) for one in dag.tasks for after in one.downstream_task_ids}


def test_graphs_have_no_line_that_says_what_others_say(workloads: Path) -> None:
    """An XCom argument draws a line from its task to every one that takes it, and the graph becomes a tangle."""
    for kind in ("retrain", "deploy", "data_quality", "monitor"):
        dag = DagBag(DAGS).dags[f"{kind}_full"]
        for one in dag.tasks:
            for after in one.downstream_list:
                others = {further.task_id for further in one.downstream_list if further is not after}
                assert not others & after.get_flat_relative_ids(upstream=True), f"{one.task_id} -> {after.task_id}"


def test_a_deployment_reads_from_left_to_right(workloads: Path) -> None:
    steps = ("resolve_release", "choose_path", "verify", "infra_check", "compare_answers", "set_share_1", "watch_1")
    path = list(zip(steps, (*steps[1:], "promote"), strict=True))
    ends = [("promote", "announce_deployment"), ("promote", "roll_back"), ("roll_back", "notify")]
    by_hand = [("choose_path", "return_to_release")]
    by_hand += [("return_to_release", "announce_deployment"), ("return_to_release", "notify")]
    assert edges(DagBag(DAGS).dags["deploy_full"]) == {*path, *ends, *by_hand}


def test_a_retraining_reads_from_left_to_right(workloads: Path) -> None:
    gates = ("check_schema", "check_quality", "check_drift")
    expected = {("resolve_span", "read_data"), ("train", "release"), ("release", "next_span")}
    expected |= {("read_data", gate) for gate in gates} | {(gate, "train") for gate in gates}
    assert edges(DagBag(DAGS).dags["retrain_full"]) == expected


def test_every_asset_has_one_maker(workloads: Path) -> None:
    """A task of which DAG writes an asset: never two, or nobody could say where an event came from."""
    makers: dict[str, set[str]] = {}
    for dag in DagBag(DAGS).dags.values():
        for one in dag.tasks:
            for outlet in one.outlets:
                makers.setdefault(outlet.name, set()).add(dag.dag_id)
    assert makers["full_released_model"] == {"retrain_full"}
    assert makers["full_predictions"] == {"batch_predict_full"}
    assert makers["full_quality_report"] == {"data_quality_full"}
    assert all(len(dags) == 1 for dags in makers.values()), makers
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in makers)


def test_a_broken_workload_names_file_and_field_and_leaves_the_others(workloads: Path) -> None:
    bag = DagBag(DAGS)
    assert set(bag.dag_ids) == SITE | kinds_of("good") | kinds_of("full", "batch_predict")
    (file, message), *others = bag.import_errors.items()
    assert Path(file).name == "broken_workloads.py" and not others
    for expected in (
        f"{workloads / 'typo' / 'workload.yaml'}, field traning: there is no such field",
        f"{workloads / 'range' / 'workload.yaml'}, field training.epochs:",
        f"{workloads / 'clock' / 'workload.yaml'}, field schedule.cron:",
        f"{workloads / 'zone' / 'workload.yaml'}, field schedule.timezone: no such time zone",
        f"{workloads / 'mail' / 'workload.yaml'}, field alerts.email: expected addresses",
        f"{workloads / 'yaml' / 'workload.yaml'}: not valid YAML",
    ):
        assert expected in message


def test_what_nobody_has_foreseen_is_a_dag_that_says_so(workloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(workload: Workload) -> None:
        if workload.name == "full":
            raise RuntimeError("no DAG can be had of this")

    monkeypatch.setitem(factory._BUILDERS, "retrain_", build)
    dags = factory.build_dags()
    assert "no DAG can be had of this" in (dags["broken_full"].doc_md or "")
    assert "deploy_good" in dags and "deploy_full" not in dags


def test_a_runner_that_is_none_is_said_so(workloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_RUNNER", "cluster")
    assert any("TRAINYARD_RUNNER: expected local or kubeflow. Received: 'cluster'" in one for one in factory.problems())


def test_only_the_dag_of_the_running_task_is_built(workloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "deploy_good")
    assert DagBag(DAGS).dag_ids == ["deploy_good"]


def test_workloads_can_be_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_DAG_WORKLOADS", "taxi")
    assert {d for d in DagBag(DAGS).dag_ids if not d.startswith("batch_predict_")} == kinds_of("taxi") | SITE


def test_dags_need_nothing_of_the_pipeline() -> None:
    script = (
        "import sys, dags.workloads, dags.operators, dags.deployment\n"
        "heavy = {'tensorflow', 'tfx', 'great_expectations', 'kfp', 'numpy', 'embedded', 'pyarrow', 'pandas'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"
