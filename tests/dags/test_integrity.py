"""Every workload's DAGs load; a broken workload takes no other along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from pipelines import home
from pipelines.workload import workload_names

DAGS = Path(__file__).resolve().parents[2] / "dags"
GOOD = "name: {name}\ntask: binary\nowner: team-a\ndata:\n  label:\n    column: y\n"


@pytest.fixture
def workloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of workloads: one good, one of every way to be broken."""
    broken = {
        "typo": GOOD.format(name="typo") + "traning:\n  epochs: 3\n",
        "range": GOOD.format(name="range") + "training:\n  epochs: 0\n",
        "clock": GOOD.format(name="clock") + "schedule:\n  cron: 61 * * * *\n",
        "yaml": "name: [\n",
    }
    for name, text in {"good": GOOD.format(name="good"), **broken}.items():
        (tmp_path / "workloads" / name).mkdir(parents=True)
        (tmp_path / "workloads" / name / "workload.yaml").write_text(text)
    monkeypatch.setenv("TRAINYARD_WORKLOADS", str(tmp_path / "workloads"))
    return tmp_path / "workloads"


def test_all_workloads_load() -> None:
    bag = DagBag(DAGS)
    assert bag.import_errors == {}
    names = workload_names(home.workloads_root())
    assert set(bag.dag_ids) == {f"{kind}_{name}" for kind in ("retrain", "deploy") for name in names}


def test_only_the_dag_files_are_parsed() -> None:
    bag = DagBag(DAGS)
    parsed = {Path(stat.file.lstrip("/")).name for stat in bag.dagbag_stats}
    assert parsed == {"workloads.py", "broken_workloads.py"}


def test_every_task_tells_an_operator_what_to_do() -> None:
    for dag in DagBag(DAGS).dags.values():
        assert dag.max_active_runs == 1
        assert {"trainyard"} < set(dag.tags)
        assert dag.doc_md
        for one in dag.tasks:
            assert one.doc_md and len(one.doc_md) > 40, one.task_id
            assert one.owner not in ("", "airflow"), one.task_id
            assert one.execution_timeout is not None, one.task_id
            assert one.retries >= 1, one.task_id


def test_a_broken_workload_names_file_and_field_and_leaves_the_others(workloads: Path) -> None:
    bag = DagBag(DAGS)
    assert set(bag.dag_ids) == {"retrain_good", "deploy_good"}
    (file, message), *others = bag.import_errors.items()
    assert Path(file).name == "broken_workloads.py" and not others
    for expected in (
        f"{workloads / 'typo' / 'workload.yaml'}, field traning: there is no such field",
        f"{workloads / 'range' / 'workload.yaml'}, field training.epochs:",
        f"{workloads / 'clock' / 'workload.yaml'}, field schedule.cron:",
        f"{workloads / 'yaml' / 'workload.yaml'}: not valid YAML",
    ):
        assert expected in message


def test_only_the_dag_of_the_running_task_is_built(workloads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "deploy_good")
    assert DagBag(DAGS).dag_ids == ["deploy_good"]


def test_workloads_can_be_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINYARD_DAG_WORKLOADS", "taxi")
    assert set(DagBag(DAGS).dag_ids) == {"retrain_taxi", "deploy_taxi"}


def test_dags_need_nothing_of_the_pipeline() -> None:
    script = (
        "import sys, dags.workloads, dags.operators, dags.deployment\n"
        "heavy = {'tensorflow', 'tfx', 'great_expectations', 'kfp', 'components', 'embedded', 'pyarrow', 'pandas'}\n"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"
