"""What the service accounts of deploy/ may do, and that it is all they may do: the API server's own answers."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.cluster.api_server import ApiServer
from tests.deploy.manifests import namespace_of, with_several_nodes

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
Right = tuple[str, str, str]
"""Verb, resource with its group, and the name if only objects of that name are meant."""

RUNNER = {"trainyard": "pipeline-runner", "kubeflow": "trainyard-pipeline-runner"}
"""Namespace -> the account of a run's pods."""
_SUBMITTER = {
    *((verb, "experiments.pipelines.kubeflow.org", "") for verb in ("create", "get", "list")),
    *((verb, "runs.pipelines.kubeflow.org", "") for verb in ("create", "get", "list", "retry", "terminate")),
    *((verb, "pipelines.pipelines.kubeflow.org", "") for verb in ("get", "list")),
    *((verb, "pipelines/versions.pipelines.kubeflow.org", "") for verb in ("get", "list")),
}
_RUNNER = {
    *((verb, "workflowtaskresults.argoproj.io", "") for verb in ("create", "patch")),
    ("get", "configmaps", "kfp-launcher"),
    ("get", "secrets", "mlpipeline-minio-artifact"),
}
_TRAIN_JOBS = {(verb, "trainjobs.trainer.kubeflow.org", "") for verb in ("create", "get", "patch", "delete")}
_AIRFLOW: dict[str, set[Right]] = {
    "airflow-scheduler": {
        *((verb, "pods", "") for verb in ("create", "get", "list", "watch", "patch", "delete")),
        ("get", "pods/log", ""),
        ("list", "events", ""),
    },
    "airflow-api-server": {("get", "pods", ""), ("list", "pods", ""), ("get", "pods/log", "")},
    "airflow-cleanup": {("list", "pods", ""), ("delete", "pods", "")},
    "airflow-worker": set(),
    "airflow-triggerer": set(),
    "airflow-dag-processor": set(),
    "default": set(),
}


def rights(api_server: ApiServer, namespace: str, account: str) -> set[Right]:
    """Everything that a service account may do in a namespace."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    (made,) = api_server.create(review, options=[f"--as=system:serviceaccount:{namespace}:{account}"])
    status = made["status"]
    assert not status["incomplete"], status
    return {
        (verb, f"{resource}.{group}" if group else resource, name)
        for rule in status["resourceRules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
    }


def may(api_server: ApiServer, account: str, verb: str, resource: str, name: str, namespace: str) -> bool:
    """What `kubectl auth can-i` says, by a review of the same kind.

    Args:
        account: `<its namespace>:<its name>`.
        namespace: of what it asks for.
    """
    plain, _, group = resource.partition(".")
    plain, _, part = plain.partition("/")
    asked = {"namespace": namespace, "verb": verb, "group": group, "resource": plain, "subresource": part, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{account}",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": asked,
        },
    }
    (made,) = api_server.create(review)
    return bool(made["status"]["allowed"])


@pytest.fixture(scope="module")
def everybodys(api_server: ApiServer) -> set[Right]:
    """What Kubernetes lets every account do: ask what it may do."""
    found = rights(api_server, "default", "of-nobody")
    assert {resource.partition(".")[2] for _, resource, _ in found} <= {"authorization.k8s.io", "authentication.k8s.io"}
    return found


@pytest.fixture(scope="module", params=["trial", "standalone"])
def kubeflow(
    api_server: ApiServer, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The namespace of an overlay, with the component for several nodes."""
    folder = with_several_nodes(request.param, tmp_path_factory.mktemp("deploy"))
    with api_server.namespace(namespace_of(folder)) as namespace:
        api_server.kubectl("apply", "-k", folder)
        yield namespace


def test_kubeflow(api_server: ApiServer, kubeflow: str, everybodys: set[Right]) -> None:
    accounts = {
        one["metadata"]["name"] for one in api_server.get("serviceaccounts", f"--namespace={kubeflow}")["items"]
    }
    found = {name: rights(api_server, kubeflow, name) - everybodys for name in accounts}
    expected = {name: set[Right]() for name in accounts} | {RUNNER[kubeflow]: _RUNNER | _TRAIN_JOBS}
    if "pipeline-submitter" in accounts:
        expected |= {"pipeline-submitter": _SUBMITTER}
    assert found == expected


def test_airflow(api_server: ApiServer, everybodys: set[Right]) -> None:
    folder = DEPLOY / "airflow" / "manifests"
    with api_server.namespace("airflow") as namespace:
        api_server.kubectl("apply", "-k", folder)
        found = {name: rights(api_server, namespace, name) - everybodys for name in _AIRFLOW}
    assert found == _AIRFLOW


@pytest.mark.parametrize(
    ("verb", "resource", "name", "allowed"),
    [
        ("create", "workflowtaskresults.argoproj.io", "", True),
        ("get", "secrets", "mlpipeline-minio-artifact", True),
        ("get", "secrets", "trainyard-metadata", False),
        ("list", "secrets", "", False),
        ("list", "trainjobs.trainer.kubeflow.org", "", False),
        ("create", "pods", "", False),
        ("create", "pods/exec", "", False),
        ("create", "serviceaccounts/token", "", False),
        ("update", "roles.rbac.authorization.k8s.io", "", False),
    ],
)
def test_the_pods_of_a_run(
    api_server: ApiServer, kubeflow: str, verb: str, resource: str, name: str, allowed: bool
) -> None:
    account = f"{kubeflow}:{RUNNER[kubeflow]}"
    assert may(api_server, account, verb, resource, name, kubeflow) is allowed
    assert may(api_server, account, verb, resource, name, "default") is False
