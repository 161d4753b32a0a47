"""A double of what Kubeflow Pipelines 2.16 makes of a compiled file: a pod a task.

Doubled are the driver's patch (image, environment, Secrets, volumes, placement, size, user) and the settings that KFP's compiler gives
each executor: seccomp, no escalation, no capabilities. Not doubled: Argo's own containers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.cluster.api_server import Manifest
from tests.pipelines.kubeflow.kubeflow_double import KubeflowDouble

_SECCOMP = {"seccompProfile": {"type": "RuntimeDefault"}}
_HARDENED = {**_SECCOMP, "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_TRANSLATED = {
    *("activeDeadlineSeconds", "emptyDirMounts", "fieldPathAsEnv", "imagePullPolicy", "nodeAffinity", "nodeSelector"),
    *("podMetadata", "pvcMount", "secretAsEnv", "securityContext", "tolerations"),
}


def pods(compiled: str, service_account: str) -> dict[str, Manifest]:
    """Task -> its pod."""
    double = KubeflowDouble(compiled, {})
    executors = double.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {task: _pod(double, task, executors[f"exec-{task}"], service_account) for task in double.order()}


def _pod(double: KubeflowDouble, task: str, platform: dict[str, Any], service_account: str) -> Manifest:
    assert not platform.keys() - _TRANSLATED, (
        f"{task}: {platform.keys() - _TRANSLATED} of the file is not translated here"
    )
    words = double.argv(task, "run-1")
    command = double.container(task)["command"]
    security = {**platform["securityContext"], **_HARDENED}
    for key in ("runAsUser", "runAsGroup"):
        security[key] = int(security[key])
    volumes = list(_volumes(platform))
    container = {
        "name": "main",
        "image": "registry.example.com/trainyard:1.4",
        "imagePullPolicy": platform["imagePullPolicy"],
        "command": words[: len(command)],
        "args": words[len(command) :],
        "env": [*double.container(task).get("env", ()), *_environment(platform)],
        "resources": _resources(double.container(task)["resources"]),
        "volumeMounts": [{"name": volume["name"], "mountPath": path} for path, volume in volumes],
        "securityContext": security,
    }
    spec: Manifest = {
        "serviceAccountName": service_account,
        "restartPolicy": "Never",
        "securityContext": _SECCOMP,
        "activeDeadlineSeconds": int(platform["activeDeadlineSeconds"]),
        "containers": [container],
        "volumes": [volume for _, volume in volumes],
        **_placement(double, platform),
    }
    labels = {**platform["podMetadata"]["labels"], "workflows.argoproj.io/workflow": "run-1"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": task, "labels": labels}, "spec": spec}


def _volumes(platform: dict[str, Any]) -> Iterator[tuple[str, Manifest]]:
    """Where each is mounted, and the volume."""
    for one in platform["emptyDirMounts"]:
        source = {"sizeLimit": one["sizeLimit"], **({"medium": one["medium"]} if "medium" in one else {})}
        yield one["mountPath"], {"name": one["volumeName"], "emptyDir": source}
    for one in platform.get("pvcMount", ()):
        yield one["mountPath"], {"name": "claim", "persistentVolumeClaim": {"claimName": one["constant"]}}


def _environment(platform: dict[str, Any]) -> Iterator[Manifest]:
    for secret in platform.get("secretAsEnv", ()):
        for one in secret["keyToEnv"]:
            key = {"name": secret["secretName"], "key": one["secretKey"], "optional": secret["optional"]}
            yield {"name": one["envVar"], "valueFrom": {"secretKeyRef": key}}
    for one in platform.get("fieldPathAsEnv", ()):
        yield {"name": one["name"], "valueFrom": {"fieldRef": {"fieldPath": one["fieldPath"]}}}


def _resources(compiled: dict[str, Any]) -> Manifest:
    memory = {"memory": compiled["resourceMemoryLimit"]}
    accelerator = compiled.get("accelerator")
    limits = {**memory, **({accelerator["resourceType"]: accelerator["resourceCount"]} if accelerator else {})}
    requests = {"cpu": compiled["resourceCpuRequest"], "memory": compiled["resourceMemoryRequest"]}
    return {"limits": limits, "requests": requests}


def _placement(double: KubeflowDouble, platform: dict[str, Any]) -> dict[str, Any]:
    parameters = double.spec["root"]["inputDefinitions"]["parameters"]

    def given(source: dict[str, Any]) -> Any:
        return parameters[source["componentInputParameter"]]["defaultValue"]

    found: dict[str, Any] = {}
    if selector := platform.get("nodeSelector"):
        found["nodeSelector"] = (
            given(selector["nodeSelectorJson"]) if "nodeSelectorJson" in selector else selector["labels"]
        )
    tolerations: list[Any] = []
    for one in platform.get("tolerations", ()):
        many = given(one["tolerationJson"]) if "tolerationJson" in one else one
        tolerations += many if isinstance(many, list) else [many]
    if tolerations:
        found["tolerations"] = tolerations
    if terms := platform.get("nodeAffinity"):
        required = {"nodeSelectorTerms": [{"matchExpressions": one["matchExpressions"]} for one in terms]}
        found["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    return found
