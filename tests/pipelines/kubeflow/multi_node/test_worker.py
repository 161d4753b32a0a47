"""A worker's start, and what is asked of Kubernetes: refused in one line, or tried again."""

from __future__ import annotations

import pathlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from pipelines.runners.kubeflow.multi_node.jobs import TrainJobs
from pipelines.runners.kubeflow.multi_node.worker import tf_config
from spec.errors import InputError
from tests.pipelines.kubeflow.multi_node.cluster_double import NAMESPACE, ROOT, ClusterDouble, cluster_double


def test_tf_config_is_what_the_job_gives() -> None:
    given = {"TRAINYARD_WORKERS": "j-node-0-0.j:2222,j-node-0-1.j:2222", "JOB_COMPLETION_INDEX": "1"}
    assert tf_config(given) == {
        "cluster": {"worker": ["j-node-0-0.j:2222", "j-node-0-1.j:2222"]},
        "task": {"type": "worker", "index": 1},
    }


@pytest.mark.parametrize("index", ["", "2", "-1", "one"])
def test_a_process_that_is_no_worker_is_refused(index: str) -> None:
    with pytest.raises(InputError, match="expected the pod of a TrainJob"):
        tf_config({"TRAINYARD_WORKERS": "a:1,b:1", "JOB_COMPLETION_INDEX": index})


def test_an_image_of_another_revision_is_refused_before_anything_is_imported(tmp_path: pathlib.Path) -> None:
    words = ["--node", "Trainer", "--folder", str(tmp_path), "--executor", "x.Y", "--revision", "0123456789ab"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "pipelines.runners.kubeflow.multi_node.worker", *words],
        env={"TRAINYARD_CODE_REVISION": "feedfeedfeed", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "this image holds code revision feedfeedfeed" in done.stderr.splitlines()[-1]
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert not loaded & {"tensorflow", "tfx", "kubernetes"}


@pytest.fixture
def kubernetes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterDouble]:
    with cluster_double(tmp_path, {}, {}) as double:
        for name, value in double.environment().items():
            monkeypatch.setenv(name, value)
        yield double


def test_an_api_that_is_away_is_asked_again(kubernetes: ClusterDouble) -> None:
    kubernetes.away = 2
    assert TrainJobs(NAMESPACE).find("a-job") is None
    assert kubernetes.asked == ["GET a-job"] * 3


def test_what_the_cluster_does_not_take_is_one_line(kubernetes: ClusterDouble) -> None:
    with pytest.raises(InputError, match=r"TrainJob: the cluster does not take it \(.*metadata\.name: .* a DNS label"):
        TrainJobs(NAMESPACE).create({"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {}})
    assert len(kubernetes.asked) == 1
