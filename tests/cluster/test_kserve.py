"""A deployment's calls to KServe, on the API server, with KServe's CRD and a service account that has what the guide asks for.

KServe itself is not there: the test writes the status that its controller would. So a step that waits gives up at once, and its next
try goes on, as Airflow's retries do.
"""

from __future__ import annotations

import json
import pathlib
import urllib.parse
from collections.abc import Callable, Iterator

import pytest

from dags.deployment import kserve, kubernetes
from dags.deployment.errors import DeploymentRefused
from dags.deployment.kserve import InferenceService
from spec.workload import KServe
from tests.cluster.api_server import ApiServer, Manifest

NAMESPACE = "models"
Service = Callable[[str], InferenceService]
said: list[str] = []


@pytest.fixture(scope="module")
def cluster(api_server: ApiServer) -> Iterator[ApiServer]:
    where = f"--namespace={NAMESPACE}"
    with api_server.namespace(NAMESPACE):
        for account in ("deployer", "of-nobody"):
            api_server.kubectl("create", "serviceaccount", account, where)
        resource = ("--verb=get,create,patch", "--resource=inferenceservices.serving.kserve.io")
        api_server.kubectl("create", "role", "deployer", where, *resource)
        api_server.kubectl(
            "create", "rolebinding", "deployer", where, "--role=deployer", f"--serviceaccount={NAMESPACE}:deployer"
        )
        yield api_server


@pytest.fixture
def service(cluster: ApiServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    """As a pod of that service account has it."""

    def of(account: str) -> InferenceService:
        (tmp_path / "token").write_text(cluster.token_of(NAMESPACE, account))
        (tmp_path / "ca.crt").write_bytes(cluster.ca_file.read_bytes())
        return InferenceService("taxi", KServe(namespace=NAMESPACE, storage="s3://bucket/models"))

    address = urllib.parse.urlsplit(cluster.url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(address.hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(address.port))
    monkeypatch.setattr(kubernetes, "_ACCOUNT", tmp_path)
    monkeypatch.setattr(kserve, "LOAD_TIMEOUT_S", 0.0)
    (tmp_path / "token").touch()  # looked for when a service is made
    return of


def stored(cluster: ApiServer) -> Manifest:
    found: Manifest = cluster.get("inferenceservice", "taxi", f"--namespace={NAMESPACE}")
    return found


def controller_is_done(cluster: ApiServer, revision: str, rolled_out: str) -> None:
    """What KServe's controller writes once the newest revision is ready."""
    predictor = {
        "latestCreatedRevision": revision,
        "latestReadyRevision": revision,
        "latestRolledoutRevision": rolled_out,
    }
    status = {
        "observedGeneration": stored(cluster)["metadata"]["generation"],
        "components": {"predictor": predictor},
        "conditions": [{"type": "Ready", "status": "True"}],
        "url": "http://taxi.models.example.com",
    }
    written = ("--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    cluster.kubectl("patch", "inferenceservice", "taxi", f"--namespace={NAMESPACE}", *written)


def test_a_deployment(cluster: ApiServer, service: Service) -> None:
    deployer = service("deployer")
    with pytest.raises(TimeoutError, match="KServe has not seen the change yet"):
        deployer.load(1, said.append, 0)
    controller_is_done(cluster, "r1", "r1")
    deployer.load(1, said.append, 0)
    assert stored(cluster)["spec"]["predictor"]["model"]["storageUri"] == "s3://bucket/models/taxi/1"

    with pytest.raises(TimeoutError):
        deployer.load(2, said.append, 0)
    assert stored(cluster)["spec"]["predictor"]["canaryTrafficPercent"] == 0
    controller_is_done(cluster, "r2", "r1")
    deployer.load(2, said.append, 0)
    deployer.share(2, 0.1, said.append)
    assert stored(cluster)["spec"]["predictor"]["canaryTrafficPercent"] == 10
    assert deployer.begin(2, 1)["canary"] == "r2" and deployer.begin(2, 1)["stable"] == "r1"

    with pytest.raises(TimeoutError):
        deployer.serve(2, said.append)
    assert "canaryTrafficPercent" not in stored(cluster)["spec"]["predictor"], "null removes it"
    controller_is_done(cluster, "r2", "r2")
    deployer.serve(2, said.append)

    with pytest.raises(TimeoutError):
        deployer.load(3, said.append, 0)
    controller_is_done(cluster, "r3", "r2")
    deployer.withdraw(3, 2, said.append)
    predictor = stored(cluster)["spec"]["predictor"]
    assert (predictor["model"]["storageUri"], predictor["canaryTrafficPercent"]) == ("s3://bucket/models/taxi/2", 0)


def test_a_service_that_somebody_has_just_made_is_no_error(cluster: ApiServer, service: Service) -> None:
    service("deployer")
    path = f"/apis/serving.kserve.io/v1beta1/namespaces/{NAMESPACE}/inferenceservices"
    model = {"modelFormat": {"name": "tensorflow"}, "storageUri": "s3://bucket/models/twice/1"}
    document = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "twice"},
        "spec": {"predictor": {"model": model}},
    }
    api = kubernetes.Kubernetes()
    api.create(path, document)
    api.create(path, {**document, "metadata": {"name": "twice", "labels": {"of": "another"}}})
    found = api.get(f"{path}/twice")
    assert found is not None and "labels" not in found["metadata"]
    with pytest.raises(DeploymentRefused, match=r"refused PATCH .*canaryTrafficPercent"):
        api.patch(f"{path}/twice", {"spec": {"predictor": {"canaryTrafficPercent": "half"}}})


def test_without_the_right_it_says_so(service: Service) -> None:
    with pytest.raises(DeploymentRefused, match=r"of-nobody.* cannot get resource"):
        service("of-nobody").load(1, said.append, 0)
