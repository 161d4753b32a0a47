"""`trainyard doctor --cluster` against a double of the Kubernetes API."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from cli import main as cli
from pipelines.runners.kubeflow.doctor.checks import FINALIZER
from tests.pipelines.kubeflow.kubernetes_api_double import TOKEN, KubernetesApiDouble

KUBEFLOW, RUNS = "/apis/apps/v1/namespaces/kubeflow/deployments", "/api/v1/namespaces/team-a"
SITE = "root: s3://b\ndata: s3://b\nstore: s3://b\napi: {namespace: team-a}\n"


def deployment(name: str, image: str, environment: dict[str, str] | None = None) -> dict[str, Any]:
    env = [{"name": key, "value": value} for key, value in (environment or {}).items()]
    sidecar = {"name": "istio-proxy", "image": "istio/proxyv2:1.24.0"}
    containers = [sidecar, {"name": name, "image": image, "env": env}]
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    spec = {"selector": {"matchLabels": {"app": name}}, "template": template}
    return {"metadata": {"name": name}, "spec": spec, "status": {"availableReplicas": 1}}


@pytest.fixture
def cluster(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KubernetesApiDouble]:
    """All that a cluster needs."""
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    (tmp_path / "kubeflow.yaml").write_text(SITE)
    (tmp_path / "pools.yaml").write_text(
        "cpu: {}\ngpu: {node_selector: {kind: gpu}, accelerator: {resource: nvidia.com/gpu}, memory: 8Gi}\n"
    )
    monkeypatch.setenv("TRAINYARD_KUBEFLOW", str(tmp_path / "kubeflow.yaml"))
    with KubernetesApiDouble() as double:
        monkeypatch.setenv("KUBECONFIG", str(double.kubeconfig(tmp_path / "kubeconfig", "elsewhere")))
        api = deployment("ml-pipeline-api-server", "ghcr.io/kubeflow/kfp-api-server:2.16.0")
        double.put(f"{KUBEFLOW}/ml-pipeline", "V1Deployment", {**api, "metadata": {"name": "ml-pipeline"}})
        argo = deployment("workflow-controller", "quay.io/argoproj/workflow-controller:v3.7.3", {FINALIZER: "true"})
        double.put(f"{KUBEFLOW}/workflow-controller", "V1Deployment", argo)
        groups = [
            {"name": name, "versions": [{"groupVersion": f"{name}/v1", "version": "v1"}]}
            for name in ("argoproj.io", "trainer.kubeflow.org", "jobset.x-k8s.io", "serving.kserve.io")
        ]
        double.put("/apis", "V1APIGroupList", {"kind": "APIGroupList", "groups": groups})
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        double.put(RUNS, "V1Namespace", {"metadata": {"name": "team-a", "labels": labels}})
        double.put(
            f"{RUNS}/serviceaccounts/pipeline-runner", "V1ServiceAccount", {"metadata": {"name": "pipeline-runner"}}
        )
        keys = {"username": "dQ==", "password": "cA=="}
        double.put(f"{RUNS}/secrets/trainyard-metadata", "V1Secret", {"metadata": {"name": "s"}, "data": keys})
        node = {
            "metadata": {"name": "n", "labels": {"kind": "gpu"}},
            "status": {"allocatable": {"nvidia.com/gpu": "1"}},
        }
        double.put("/api/v1/nodes", "V1NodeList", {"items": [node]})
        verbs = ("create", "get", "list", "terminate")
        double.allowed = {f"{verb} {resource}" for verb in verbs for resource in ("runs", "experiments")}
        yield double
        assert double.violations == []


def run(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code = cli.main(["doctor", "--cluster", "--json", "--pools", str(tmp_path / "pools.yaml"), *more])
    out, err = capsys.readouterr()
    assert out, err
    assert TOKEN not in out and "dQ==" not in out
    return code, json.loads(out)


def found(report: dict[str, Any], name: str) -> list[tuple[str, str]]:
    return [(one["state"], one["message"]) for one in report["checks"] if one["name"] == name]


def test_a_cluster_that_has_everything(cluster: KubernetesApiDouble, tmp_path: pathlib.Path, capsys) -> None:
    code, report = run(tmp_path, capsys)
    assert code == 0 and report["works"] and report["unchecked"] == 0
    assert {one["state"] for one in report["checks"] if one["name"] != "KFP's API"} == {"ok"}, report
    assert found(report, "Kubernetes")[0][1].startswith("v1.34.1")
    assert found(report, "KFP") == [("ok", "ghcr.io/kubeflow/kfp-api-server:2.16.0")]
    assert "level restricted" in found(report, "namespace")[0][1]
    assert found(report, "KFP's API")[0][0] == "note", "no host is set: said, and not passed"


def test_what_is_missing_is_a_problem_with_a_remedy(
    cluster: KubernetesApiDouble, tmp_path: pathlib.Path, capsys
) -> None:
    argo = deployment("workflow-controller", "quay.io/argoproj/workflow-controller:v3.6.5")
    cluster.put(f"{KUBEFLOW}/workflow-controller", "V1Deployment", argo)
    cluster.objects[f"{RUNS}/secrets/trainyard-metadata"]["data"].pop("password")
    for path in (f"{RUNS}/serviceaccounts/pipeline-runner", f"{KUBEFLOW}/ml-pipeline"):
        del cluster.objects[path]
    cluster.objects["/apis"]["groups"] = []
    cluster.objects["/api/v1/nodes"]["items"] = []
    cluster.allowed = set()
    code, report = run(tmp_path, capsys)
    assert code == 2 and not report["works"]
    ((state, said),) = found(report, "deleted pods")
    assert state == "problem" and f"{FINALIZER} is not set" in said
    states = {one["name"]: one["state"] for one in report["checks"]}
    assert states["KFP"] == states["service account"] == states["secret"] == "problem"
    assert found(report, "secret") == [("problem", "trainyard-metadata has no key password")]
    assert found(report, "Argo")[0][0] == states["rights"] == states["pool"] == "note"
    assert [state for state, _ in found(report, "kinds")] == ["problem", "note", "note", "note"]
    assert all(one["remedy"] for one in report["checks"] if one["state"] == "problem")


def test_what_this_user_may_not_look_at_is_said(cluster: KubernetesApiDouble, tmp_path: pathlib.Path, capsys) -> None:
    cluster.forbidden = {"/api/v1/nodes", f"{RUNS}/secrets/trainyard-metadata", f"{KUBEFLOW}/workflow-controller"}
    code, report = run(tmp_path, capsys)
    assert (code, report["unchecked"], report["works"]) == (1, 3, True)
    assert {found(report, name)[0][0] for name in ("pools", "secret", "argo")} == {"unchecked"}
    assert cli.main(["doctor", "--cluster", "--pools", str(tmp_path / "pools.yaml")]) == 1
    assert "3 could not be checked: ask with a user who may look." in capsys.readouterr().out


def test_no_cluster(cluster: KubernetesApiDouble, tmp_path: pathlib.Path, capsys, monkeypatch) -> None:
    assert cli.main(["doctor", "--cluster", "--context", "nosuch"]) == 2
    assert "nosuch" in capsys.readouterr().err
    file = tmp_path / "kubeconfig"
    file.write_text(file.read_text().replace("http://127.0.0.1:", "http://127.0.0.1:1/"))
    assert cli.main(["doctor", "--cluster"]) == 1
    assert "does not answer" in capsys.readouterr().err
