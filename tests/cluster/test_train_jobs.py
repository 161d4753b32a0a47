"""TrainJobs as a Trainer's pod starts them, on the API server, with Kubeflow Trainer's CRD and the rights of deploy/.

There is no Kubeflow Trainer behind it: a job is stored and does not start.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator

import pytest

from pipelines.runners.kubeflow.multi_node.jobs import TrainJobs
from pipelines.runners.kubeflow.multi_node.manifest import Owner
from spec.errors import InputError
from tests.cluster.api_server import ApiServer, Manifest
from tests.deploy.manifests import with_several_nodes
from tests.pipelines.kubeflow.multi_node.test_manifest import NAME, SEARCH, compiled, job_of

NAMESPACE = "trainyard"


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """With the overlay `trial` and the component for several nodes."""
    folder = with_several_nodes("trial", tmp_path_factory.mktemp("deploy"))
    with api_server.namespace(NAMESPACE):
        api_server.kubectl("apply", "-k", folder)
        yield api_server


@pytest.fixture(scope="module")
def of_training() -> Manifest:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        return job_of(compiled(), "trainer")


@pytest.fixture(scope="module")
def of_search() -> Manifest:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        return job_of(compiled(component="tuner", parameters=(SEARCH,)), "tuner")


@pytest.fixture
def jobs(cluster: ApiServer, monkeypatch: pytest.MonkeyPatch) -> TrainJobs:
    """As a pod of a run has them: with the token of its service account."""
    return jobs_of(cluster, monkeypatch, "pipeline-runner")


def jobs_of(cluster: ApiServer, monkeypatch: pytest.MonkeyPatch, account: str) -> TrainJobs:
    token = cluster.token_of(NAMESPACE, account)
    monkeypatch.setenv("KUBECONFIG", str(cluster.write_kubeconfig(account, token)))
    return TrainJobs(NAMESPACE)


@pytest.mark.parametrize("which", ["of_training", "of_search"])
def test_kubeflow_trainer_knows_every_field(cluster: ApiServer, which: str, request: pytest.FixtureRequest) -> None:
    job = request.getfixturevalue(which)
    strictly = ("--validate=strict", "--dry-run=server", f"--namespace={NAMESPACE}")
    cluster.kubectl("create", *strictly, "-f", "-", stdin=json.dumps(job))


def test_a_job_is_created_once_adopted_and_deleted(cluster: ApiServer, jobs: TrainJobs, of_training: Manifest) -> None:
    assert jobs.find(NAME) is None
    jobs.create(of_training)
    jobs.create({**of_training, "spec": {**of_training["spec"], "suspend": True}})  # as after an answer that was lost
    found = jobs.find(NAME)
    assert found is not None and not found["spec"].get("suspend")
    assert found["spec"]["trainer"] == of_training["spec"]["trainer"]
    assert found["spec"]["runtimePatches"] == of_training["spec"]["runtimePatches"]

    jobs.adopt(found, Owner("second-pod", "uid-2"))
    adopted = jobs.find(NAME)
    assert adopted is not None
    assert [one["uid"] for one in adopted["metadata"]["ownerReferences"]] == ["uid", "uid-2"]
    jobs.adopt(adopted, Owner("second-pod", "uid-2"))
    again = jobs.find(NAME)
    assert again is not None and again["metadata"]["resourceVersion"] == adopted["metadata"]["resourceVersion"]

    jobs.delete(NAME, wait=False)
    ending = jobs.find(NAME)
    assert ending is not None and ending["metadata"]["finalizers"] == ["foregroundDeletion"], "its pods go first"
    # A cluster's garbage collector does this once the pods are gone.
    free = ("--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    cluster.kubectl("patch", "trainjob", NAME, f"--namespace={NAMESPACE}", *free)
    jobs.delete(NAME)
    assert jobs.find(NAME) is None


def test_what_the_cluster_does_not_take_is_for_the_user_to_mend(jobs: TrainJobs, of_training: Manifest) -> None:
    job = copy.deepcopy(of_training)
    job["spec"]["trainer"]["numNodes"] = "four"
    with pytest.raises(InputError, match=r"the cluster does not take it .*numNodes"):
        jobs.create(job)


def test_without_the_right_it_says_what_is_missing(
    cluster: ApiServer, monkeypatch: pytest.MonkeyPatch, of_training: Manifest
) -> None:
    jobs = jobs_of(cluster, monkeypatch, "pipeline-submitter")
    with pytest.raises(InputError, match=r"refuses it .*pipeline-submitter.* cannot create resource .*multi-node"):
        jobs.create(of_training)
