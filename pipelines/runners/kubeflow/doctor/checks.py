"""The checks. Each examines one thing and yields its findings, one line each, with the remedy."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipelines.runners.kubeflow.cluster.pools import Pool
from pipelines.runners.kubeflow.cluster.site import ClusterSite, Secret
from pipelines.runners.kubeflow.doctor.api import Kubernetes, NotAllowed
from pipelines.runners.kubeflow.watching import Unavailable

OK, NOTE, PROBLEM, UNCHECKED = "ok", "note", "problem", "unchecked"
FINALIZER = "ARGO_POD_STATUS_CAPTURE_FINALIZER"
_TESTED_KFP, _TESTED_ARGO = (2, 16), (3, 7)


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of the diagnosis.

    Attributes:
        state: ok, note (worth knowing), problem (needs mending) or unchecked (this user may not read it).
        remedy: what to do; empty if nothing.
    """

    name: str
    state: str
    message: str
    remedy: str = ""


@dataclasses.dataclass(frozen=True)
class Cluster:
    """What is examined.

    Attributes:
        namespace: of the runs.
        kfp_namespace: of KFP and Argo.
    """

    api: Kubernetes
    site: ClusterSite
    pools: Mapping[str, Pool]
    namespace: str
    kfp_namespace: str

    def deployment(self, name: str) -> dict[str, Any] | None:
        return self.api.get(f"/apis/apps/v1/namespaces/{self.kfp_namespace}/deployments/{name}")


Check = Callable[[Cluster], Iterator[Finding]]


def check_kfp(cluster: Cluster) -> Iterator[Finding]:
    found = cluster.deployment("ml-pipeline")
    if found is None:
        remedy = "Install Kubeflow Pipelines, or name its namespace with --kfp-namespace."
        yield Finding("KFP", PROBLEM, f"no deployment ml-pipeline in namespace {cluster.kfp_namespace}", remedy)
        return
    yield _versioned("KFP", _container(found)["image"], _TESTED_KFP)
    if not found.get("status", {}).get("availableReplicas"):
        where = f"deployment ml-pipeline in namespace {cluster.kfp_namespace}"
        remedy = f"kubectl -n {cluster.kfp_namespace} describe deployment ml-pipeline"
        yield Finding("KFP", PROBLEM, f"{where} has no pod that answers", remedy)


def check_kfp_api(cluster: Cluster) -> Iterator[Finding]:
    from pipelines.runners.kubeflow.client import Kubeflow
    from spec.errors import InputError

    try:
        kubeflow = Kubeflow(cluster.site.api)
        kubeflow.experiment("trainyard")
    except (InputError, Unavailable) as error:
        yield Finding("KFP's API", NOTE, f"not reached from here: {error}", "Needed for `trainyard submit` and `runs`.")
    else:
        yield Finding("KFP's API", OK, f"{kubeflow.host} answers, and lets this user in")


def check_argo(cluster: Cluster) -> Iterator[Finding]:
    found = cluster.deployment("workflow-controller")
    if found is None:
        remedy = "Argo comes with KFP; is --kfp-namespace right?"
        yield Finding(
            "Argo", PROBLEM, f"no deployment workflow-controller in namespace {cluster.kfp_namespace}", remedy
        )
        return
    container = _container(found)
    yield _versioned("Argo", container["image"], _TESTED_ARGO)
    values = {one["name"]: one.get("value", "") for one in container.get("env", ())}
    if values.get(FINALIZER) == "true":
        yield Finding("deleted pods", OK, f"{FINALIZER} is true: a pod that is deleted is started again")
        return
    yield Finding(
        "deleted pods",
        PROBLEM,
        f"{FINALIZER} is {values.get(FINALIZER) or 'not set'}: a deleted pod (drained node, spot, eviction) is not started again",
        f"kubectl -n {cluster.kfp_namespace} set env deployment/workflow-controller {FINALIZER}=true, or "
        "deploy/kubeflow/components/argo-pod-status; without it: trainyard runs resume.",
    )


def check_kinds(cluster: Cluster) -> Iterator[Finding]:
    """Which operators are installed, by the API groups of their kinds."""
    groups = {one["name"] for one in (cluster.api.get("/apis") or {}).get("groups", ())}
    several = sorted(name for name, pool in cluster.pools.items() if pool.nodes > 1)
    for group, what, needed, otherwise in (
        ("argoproj.io", "Argo's workflows", True, ""),
        (
            "trainer.kubeflow.org",
            "Kubeflow Trainer's TrainJob",
            False,
            f"pools of several nodes ({', '.join(several)})",
        ),
        ("jobset.x-k8s.io", "JobSet", False, f"pools of several nodes ({', '.join(several)})"),
        ("serving.kserve.io", "KServe's InferenceService", False, "serving by KServe"),
    ):
        if group in groups:
            yield Finding("kinds", OK, f"{what} ({group})")
        elif needed:
            yield Finding("kinds", PROBLEM, f"{what} ({group}) is not there: no run can start", "Install KFP whole.")
        else:
            yield Finding("kinds", NOTE, f"{what} ({group}) is not there; needed for {otherwise} alone")


def check_namespace(cluster: Cluster) -> Iterator[Finding]:
    found = cluster.api.get(f"/api/v1/namespaces/{cluster.namespace}")
    if found is None:
        remedy = "Make it (docs/guides/kubeflow-cluster.md), or name another with --namespace."
        yield Finding("namespace", PROBLEM, f"there is no namespace {cluster.namespace}", remedy)
        return
    level = found["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce", "")
    said = f"Pod Security level {level}" if level else "no Pod Security level of its own (the cluster's default holds)"
    yield Finding("namespace", OK, f"{cluster.namespace}: {said}; runs' pods meet restricted from KFP 2.16 on")


def check_service_account(cluster: Cluster) -> Iterator[Finding]:
    name = cluster.site.service_account
    if cluster.api.get(f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts/{name}") is None:
        remedy = "Apply an overlay of deploy/kubeflow, or set service_account in kubeflow.yaml."
        yield Finding("service account", PROBLEM, f"{cluster.namespace} has no {name}", remedy)
    else:
        yield Finding("service account", OK, name)


def check_secrets(cluster: Cluster) -> Iterator[Finding]:
    """That the Secrets exist and have the keys that are used; no value is shown."""
    site = cluster.site
    signing = (site.signing_key,) if site.signing_key else ()
    for secret in (site.metadata.secret, *site.secrets, *signing):
        try:
            yield _secret(cluster, secret)
        except NotAllowed as error:
            yield Finding("secret", UNCHECKED, f"{secret.name}: this user may not look ({error})")


def _secret(cluster: Cluster, secret: Secret) -> Finding:
    found = cluster.api.get(f"/api/v1/namespaces/{cluster.namespace}/secrets/{secret.name}")
    if found is None:
        state = NOTE if secret.optional else PROBLEM
        remedy = "" if secret.optional else "Make it: deploy/kubeflow/secrets has templates."
        return Finding(
            "secret", state, f"{cluster.namespace} has no {secret.name}{' (optional)' * secret.optional}", remedy
        )
    missing = sorted(set(secret.keys.values()) - set(found.get("data") or ()))
    if missing:
        return Finding("secret", PROBLEM, f"{secret.name} has no key {', '.join(missing)}", "Add it to the Secret.")
    return Finding("secret", OK, f"{secret.name} has {', '.join(sorted(secret.keys.values()))}")


def check_volume(cluster: Cluster) -> Iterator[Finding]:
    if (volume := cluster.site.volume) is None:
        return
    path = f"/api/v1/namespaces/{cluster.namespace}/persistentvolumeclaims/{volume.claim}"
    if (found := cluster.api.get(path)) is None:
        yield Finding("volume", PROBLEM, f"{cluster.namespace} has no claim {volume.claim}", "Make it (ReadWriteMany).")
    elif "ReadWriteMany" not in found.get("spec", {}).get("accessModes", ()):
        modes = ", ".join(found.get("spec", {}).get("accessModes", ()))
        yield Finding("volume", PROBLEM, f"{volume.claim} is {modes}; every node mounts it", "Make it ReadWriteMany.")
    else:
        yield Finding("volume", OK, f"{volume.claim}, ReadWriteMany")


def check_pools(cluster: Cluster) -> Iterator[Finding]:
    """Nodes with the pools' labels. Having none may be right: autoscalers start the first one for a pod that needs it."""
    nodes = (cluster.api.get("/api/v1/nodes") or {}).get("items", [])
    for name, pool in sorted(cluster.pools.items()):
        fitting = [one for one in nodes if pool.node_selector.items() <= one["metadata"].get("labels", {}).items()]
        if pool.accelerator:
            wanted = pool.accelerator.resource
            fitting = [one for one in fitting if int(one["status"].get("allocatable", {}).get(wanted, "0")) > 0]
        if fitting:
            yield Finding("pool", OK, f"{name}: {len(fitting)} node{'s' * (len(fitting) != 1)}")
        else:
            labels = ", ".join(f"{key}={value}" for key, value in pool.node_selector.items()) or "any"
            yield Finding(
                "pool", NOTE, f"{name}: no node now ({labels}); fine where an autoscaler makes them on demand"
            )


def check_rights(cluster: Cluster) -> Iterator[Finding]:
    """The rights that KFP's API checks for users who start runs, where Kubeflow has several users."""
    lacking = [
        f"{verb} {resource}"
        for resource, verbs in (
            ("runs", ("create", "get", "list", "terminate")),
            ("experiments", ("create", "get", "list")),
        )
        for verb in verbs
        if not cluster.api.may_i(cluster.namespace, verb, "pipelines.kubeflow.org", resource)
    ]
    if lacking:
        remedy = "Where Kubeflow has several users: bind trainyard-pipeline-submitter (deploy/kubeflow/base/rbac.yaml)."
        yield Finding("rights", NOTE, f"this user may not, in {cluster.namespace}: {', '.join(lacking)}", remedy)
    else:
        yield Finding("rights", OK, f"this user may start, list and end runs in {cluster.namespace}")


# In the order in which they stand above.
CHECKS: tuple[Check, ...] = tuple(one for name, one in globals().items() if name.startswith("check_"))


def diagnose(cluster: Cluster) -> list[Finding]:
    """All findings. What this user may not read is reported as unchecked, and the other checks go on.

    Raises:
        Unavailable: the cluster does not answer.
    """
    version = (cluster.api.get("/version") or {}).get("gitVersion", "of unknown version")
    findings = [Finding("Kubernetes", OK, f"{version} at {cluster.api.host}")]
    for check in CHECKS:
        try:
            findings += list(check(cluster))
        except NotAllowed as error:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            findings.append(Finding(name, UNCHECKED, f"this user may not look ({error})"))
    return findings


def _container(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The container named like the deployment, else the first: service meshes add sidecars."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    own = [one for one in containers if str(one["name"]).startswith(deployment["metadata"]["name"])]
    found: dict[str, Any] = (own or containers)[0]
    return found


def _versioned(name: str, image: str, tested: tuple[int, int]) -> Finding:
    found = re.search(r":v?(\d+)\.(\d+)[^/]*$", image.partition("@")[0])
    if found is None:
        return Finding(name, NOTE, f"{image}: names no version; {tested[0]}.{tested[1]} was tried")
    version = (int(found[1]), int(found[2]))
    if version < tested:
        older = f"{image}: older than {tested[0]}.{tested[1]}, which was tried"
        return Finding(name, NOTE, older, "Pods may not meet Pod Security restricted." if name == "KFP" else "")
    return Finding(name, OK, image)
