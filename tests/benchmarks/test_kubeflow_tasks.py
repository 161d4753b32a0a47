"""Grouped tasks by kfp.local itself, with a process in place of each container: the benchmark's own way of running them."""

from __future__ import annotations

import pathlib

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from benchmarks import kubeflow_tasks
from pipelines.metadata.connecting import connection_config, open_once
from pipelines.runners.kubeflow.grouping import Tasks

NODES = 14


@pytest.mark.slow
def test_kfp_local_runs_three_tasks_and_every_node_is_in_the_metadata(tmp_path: pathlib.Path) -> None:
    root, data = tmp_path / "grouped", tmp_path / "data"
    kubeflow_tasks._lay_out("taxi", data, rows=1500)
    compiled = kubeflow_tasks.compile_for("taxi", root, data, Tasks.GROUPED, ("training.epochs=1",))
    kubeflow_tasks.run_with_kfp(compiled, root)
    log = (root / "log").read_text()
    ended = [line for line in log.splitlines() if " Task " in line and "finished with status" in line]
    assert len(ended) == 3 and all("SUCCESS" in line for line in ended), log[-3000:]
    for output in ("examples", "data_quality_report", "training_metrics", "classification_metrics", "run_report"):
        assert f"    {output}: " in log  # as kfp.local has read it back
    store = open_once(connection_config({"TRAINYARD_METADATA": f"sqlite://{root}/metadata.sqlite"}))
    first = store.get_executions()
    assert [one.last_known_state for one in first] == [mlmd.Execution.COMPLETE] * NODES

    kubeflow_tasks.run_with_kfp(compiled, root)
    second = [one for one in store.get_executions() if one.id not in {old.id for old in first}]
    assert [one.last_known_state for one in second] == [mlmd.Execution.CACHED] * NODES
