"""deploy/: every manifest, applied as the guides say, on an API server that has the operators' CRDs.

An unknown field, a value that a schema or Kubernetes' own validation refuses, and a warning to the caller are failures. The operators'
admission webhooks are not there.
"""

from __future__ import annotations

import json
import pathlib

import pytest

from tests.cluster.api_server import ApiServer, Refused
from tests.deploy.manifests import namespace_of, with_several_nodes

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
OVERLAYS = DEPLOY / "kubeflow" / "overlays"
CLUSTERS = sorted(path.parent.name for path in OVERLAYS.glob("*/kubeflow.yaml"))


def check(api_server: ApiServer, folder: pathlib.Path) -> list[str]:
    """Applies what kustomize builds of a folder, and looks for what Kubernetes changed in it; returns the objects' kinds and names."""
    api_server.kubectl("apply", "--validate=strict", "--dry-run=server", "-k", folder)
    applied = api_server.kubectl("apply", "--validate=strict", "-k", folder)
    api_server.kubectl("diff", "-k", folder)
    return [line.split()[0] for line in applied.splitlines()]


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_an_overlay_is_applied_and_stays_as_it_is_written(api_server: ApiServer, overlay: str) -> None:
    with api_server.namespace(namespace_of(OVERLAYS / overlay)):
        objects = check(api_server, OVERLAYS / overlay)
    assert sum(one.startswith("networkpolicy") for one in objects) >= 7
    assert sum(one.startswith("serviceaccount/") for one in objects) >= 2


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_an_overlay_with_several_nodes(api_server: ApiServer, overlay: str, tmp_path: pathlib.Path) -> None:
    folder = with_several_nodes(overlay, tmp_path)
    with api_server.namespace(namespace_of(folder)):
        objects = check(api_server, folder)
    assert sum(one.startswith("trainingruntime.trainer.kubeflow.org/") for one in objects) == 2


def test_karpenters_node_pools(api_server: ApiServer) -> None:
    folder = OVERLAYS / "eks" / "karpenter"
    objects = check(api_server, folder)
    api_server.kubectl("delete", "-k", folder)
    assert len(objects) == 3, objects


@pytest.mark.parametrize("path", sorted(OVERLAYS.glob("*/storage-class.yaml")), ids=lambda path: path.parent.name)
def test_storage_classes(api_server: ApiServer, path: pathlib.Path) -> None:
    api_server.apply(path.read_text())
    api_server.kubectl("delete", "-f", path)


def test_airflows_manifests(api_server: ApiServer) -> None:
    folder = DEPLOY / "airflow" / "manifests"
    with api_server.namespace(namespace_of(folder)):
        objects = check(api_server, folder)
    assert sum(one.startswith("role.") for one in objects) == 3


def test_the_gateway(api_server: ApiServer) -> None:
    with api_server.namespace("models") as namespace:
        for path in sorted((DEPLOY / "gateway" / "kubernetes").glob("*.yaml")):
            api_server.apply(path.read_text(), f"--namespace={namespace}", "--dry-run=server")
            api_server.apply(path.read_text(), f"--namespace={namespace}")
            api_server.kubectl("diff", f"--namespace={namespace}", "-f", path)


@pytest.mark.parametrize("template", sorted(DEPLOY.glob("*/secrets/*.env.example")), ids=lambda path: path.name)
def test_secrets_by_hand(api_server: ApiServer, template: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """As the guide says: a filled-in template becomes a Secret."""
    filled, name = tmp_path / "it.env", template.name.removesuffix(".env.example")
    filled.write_text(template.read_text().replace("=\n", "=value\n"))
    options = ("--dry-run=server", "-o", "json", f"--from-env-file={filled}")
    keys = set(json.loads(api_server.kubectl("create", "secret", "generic", name, *options))["data"])
    lines = [line for line in template.read_text().splitlines() if line and not line.startswith("#")]
    assert keys == {line.partition("=")[0] for line in lines}


@pytest.mark.parametrize(
    ("file", "right", "wrong", "said"),
    [
        ("kubeflow/base/rbac.yaml", "resourceNames", "resourcesNames", "unknown field"),
        ("kubeflow/base/quotas.yaml", "1Gi", "1Gigabyte", "quantit"),
        ("kubeflow/base/network-policies.yaml", "protocol: TCP", "protocol: tcp", "supported values"),
        ("kubeflow/components/external-secrets/metadata/external-secret.yaml", "remoteRef", "remote", "unknown field"),
        ("kubeflow/overlays/eks/karpenter/node-pools.yaml", "operator: In", "operator: Is", "Unsupported value"),
        ("kubeflow/components/multi-node/training-runtime.yaml", "replicatedJobs", "replicas", "unknown field"),
        ("gateway/kubernetes/gateway.yaml", "PathPrefix", "Prefix", "Unsupported value"),
    ],
)
def test_what_is_wrong_is_refused(api_server: ApiServer, file: str, right: str, wrong: str, said: str) -> None:
    text = (DEPLOY / file).read_text()
    assert right in text
    with pytest.raises(Refused, match=f"(?i){said}"):
        api_server.apply(text.replace(right, wrong), "--dry-run=server")
