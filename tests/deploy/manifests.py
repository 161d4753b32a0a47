"""What Kubernetes, and a cluster's owner, would say of a manifest: checks that the tests of deploy/ share.

No cluster is asked. Fields are checked against the models of the `kubernetes` package, and the operators' CRDs.
"""

from __future__ import annotations

import functools
import json
import pathlib
import shutil
import subprocess
import types
from typing import Any

import pytest
import yaml
from kubernetes import client

from tests.deploy.crds import vendored as crds
from tests.kubernetes_fields import unknown_fields

KUBEFLOW = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "kubeflow"
Manifest = dict[str, Any]


@functools.cache
def _builder() -> tuple[str, ...] | None:
    for command in (("kustomize", "build"), ("kubectl", "kustomize")):
        if shutil.which(command[0]):
            return command
    return None


@functools.cache
def kustomized(folder: pathlib.Path) -> tuple[Manifest, ...]:
    """What kustomize builds of a folder; skips the test where neither kustomize nor kubectl is installed."""
    command = _builder()
    if command is None:
        pytest.skip("neither kustomize nor kubectl is installed")
    done = subprocess.run([*command, folder], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
    manifests = tuple(yaml.safe_load_all(done.stdout))
    assert manifests, "built, and empty"
    return manifests


def with_several_nodes(overlay: str, folder: pathlib.Path) -> pathlib.Path:
    """A copy of an overlay of deploy/kubeflow to which the component multi-node is added, as the guide says.

    Args:
        folder: where the copy goes.
    """
    shutil.copytree(KUBEFLOW, folder / "kubeflow")
    copied = folder / "kubeflow" / "overlays" / overlay
    kustomization = yaml.safe_load((copied / "kustomization.yaml").read_text())
    kustomization["components"].append("../../components/multi-node")
    (copied / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return copied


def namespace_of(folder: pathlib.Path) -> str:
    """The namespace that a kustomization names."""
    return str(yaml.safe_load((folder / "kustomization.yaml").read_text())["namespace"])


def model_of(manifest: Manifest) -> str:
    version = manifest["apiVersion"].rpartition("/")[2]
    return f"{version.capitalize()}{manifest['kind']}"


def is_custom(manifest: Manifest) -> bool:
    """Whether an operator brings its kind, rather than Kubernetes."""
    return (manifest["apiVersion"], manifest["kind"]) in crds.schemas()


def problems(manifest: Manifest) -> list[str]:
    """What the kind's schema has no words for, or refuses."""
    if is_custom(manifest):
        return crds.problems(manifest)
    return list(unknown_fields(manifest, model_of(manifest), f"{manifest['kind']}/{manifest['metadata']['name']}"))


def check_with_kubernetes(manifest: Manifest) -> None:
    """Also what the models themselves refuse: required fields that are missing."""
    response = types.SimpleNamespace(data=json.dumps(manifest))
    client.ApiClient().deserialize(response, model_of(manifest))


def restricted_violations(pod: Manifest) -> list[str]:
    """Pod Security "restricted" (and a read-only root), for the fields that a pod may set."""
    found = [key for key in ("hostNetwork", "hostPID", "hostIPC") if pod.get(key)]
    kinds = {
        "name",
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
    found += [f"volume {volume['name']}" for volume in pod.get("volumes", ()) if set(volume) - kinds]
    outer = pod.get("securityContext", {})
    for container in [*pod["containers"], *pod.get("initContainers", ())]:
        inner = {**outer, **container.get("securityContext", {})}
        rules: dict[str, bool] = {
            "runAsNonRoot": inner.get("runAsNonRoot") is True,
            "runAsUser": inner.get("runAsUser", 0) != 0,
            "seccompProfile": inner.get("seccompProfile", {}).get("type") in ("RuntimeDefault", "Localhost"),
            "allowPrivilegeEscalation": inner.get("allowPrivilegeEscalation") is False,
            "privileged": not inner.get("privileged"),
            "capabilities": inner.get("capabilities", {}) == {"drop": ["ALL"]},
            "readOnlyRootFilesystem": inner.get("readOnlyRootFilesystem") is True,
            "hostPort": not any("hostPort" in port for port in container.get("ports", ())),
            "limits": "memory" in container.get("resources", {}).get("limits", {}),
        }
        found += [f"{container['name']}: {rule}" for rule, held in rules.items() if not held]
    return found


def selects(selector: Manifest, labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    rules = selector.get("matchExpressions", ())
    assert all(rule["operator"] in ("Exists", "In") for rule in rules)
    return wanted and all(
        rule["key"] in labels and labels[rule["key"]] in rule.get("values", [labels[rule["key"]]]) for rule in rules
    )
