"""A TrainJob: what `trainyard compile` writes down of it, and what a run fills in.

The fields are those of trainer.kubeflow.org/v1alpha1 in Kubeflow Trainer 2.3; 2.2 has the same. Before 2.2 `runtimePatches` was
called `podTemplateOverrides`.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.runners.kubeflow.cluster.pools import Placement, Pool, cores
from pipelines.runners.kubeflow.cluster.site import ClusterSite, Secret
from spec import environment as env
from spec.errors import InputError
from spec.workload import Search, Training

API_GROUP = "trainer.kubeflow.org"
API_VERSION = f"{API_GROUP}/v1alpha1"
MANAGER = "trainyard.dev/pipeline"
COMMAND = ("python", "-P", "-m", "pipelines.runners.kubeflow.multi_node.worker")
# The names that Kubeflow Trainer looks for in a runtime: its replicated job, and the container in it.
JOB = CONTAINER = "node"
PORT = 2222
WORKER_LABEL = "trainyard.dev/train-job"

# A pod is called <job>-node-0-<index>-<five letters>, which has to be a DNS label of 63 letters.
_NAME_LIMIT = 40


@dataclasses.dataclass(frozen=True)
class TrainJobRequest:
    """A TrainJob to be, as the pod that starts it is told."""

    template: Mapping[str, Any]
    image: str
    node_selector: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tolerations: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def from_json(cls, template: str, image: str, node_selector: str, tolerations: str) -> TrainJobRequest:
        """Reads what stands in the arguments of that pod.

        Raises:
            InputError: one of them is no JSON of its kind.
        """
        read = []
        for name, text, kind in (
            ("--train-job", template, dict),
            ("--train-job-node-selector", node_selector, dict),
            ("--train-job-tolerations", tolerations, list),
        ):
            try:
                read.append(json.loads(text))
            except ValueError:
                read.append(None)
            if not isinstance(read[-1], kind):
                raise InputError(f"{name}: expected JSON, {kind.__name__}. Received: {text[:100]!r}")
        return cls(read[0], image, read[1], read[2])


@dataclasses.dataclass(frozen=True)
class Owner:
    """The pod that a TrainJob goes with: Kubernetes removes the job once the pod is gone."""

    name: str
    uid: str

    def reference(self) -> dict[str, str]:
        return {"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": self.uid}


def check(training: Training, placement: Placement) -> None:
    """Refuses a Trainer whose setting and pool do not go together.

    Raises:
        InputError: says which of the two to change.
    """
    pool, who = placement.pool, f"Trainer on pool {placement.pool_name!r}"
    if pool.nodes == 1:
        if training.distribution == "multi_worker":
            raise InputError(
                f"{who}: training.distribution multi_worker needs several nodes, and the pool gives one. Choose a pool with "
                "nodes: 2 or more, or set training.distribution: auto."
            )
        return
    if training.distribution not in ("auto", "multi_worker"):
        raise InputError(
            f"{who}: the pool has {pool.nodes} nodes, and training.distribution {training.distribution} uses one. Set it to auto "
            "or multi_worker, or choose another pool."
        )
    devices = pool.nodes * (pool.accelerator.count if pool.accelerator else 1)
    if training.batch_size < devices**2:
        raise InputError(
            f"{who}: {devices} devices share batches of at least {devices**2} rows. Received: training.batch_size "
            f"{training.batch_size}. Raise it, or choose a smaller pool."
        )


def check_search(search: Search, placement: Placement) -> None:
    """Refuses a Tuner on a pool where some machines would have nothing to do.

    Raises:
        InputError: says what to change.
    """
    pool, at_once = placement.pool, placement.pool.nodes * search.parallel
    if pool.nodes > 1 and at_once > search.trials:
        raise InputError(
            f"Tuner on pool {placement.pool_name!r}: {pool.nodes} nodes with training.search.parallel {search.parallel} try "
            f"{at_once} combinations at once. Received: training.search.trials {search.trials}. Raise it, or choose a smaller pool."
        )


def of_driver(workers: Placement, default: Placement) -> Placement:
    """Where the node's own pod runs, which starts the job and waits: on the default pool, for as long as the workers may take."""
    patience = {"deadline_minutes": workers.pool.deadline_minutes + 15, "retries": workers.pool.retries}
    return dataclasses.replace(default, pool=default.pool.model_copy(update=patience))


def template(
    placement: Placement, site: ClusterSite, runtime: str, labels: Mapping[str, str], environment: Mapping[str, str]
) -> dict[str, Any]:
    """The TrainJob without what only a run knows: name, owner, image, where its nodes are, and the arguments.

    Args:
        placement: of each worker.
        runtime: name of its TrainingRuntime.
        environment: of the workers, without Secrets.
    """
    pool = placement.pool
    env: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in environment.items()]
    env += [
        one for secret in site.secrets for one in _from_secret(secret)
    ]  # those of the metadata store and of searches are the driver's alone
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainJob",
        "metadata": {"labels": dict(labels)},
        "spec": {
            "runtimeRef": {"apiGroup": API_GROUP, "kind": "TrainingRuntime", "name": runtime},
            "activeDeadlineSeconds": pool.deadline_minutes * 60,
            "trainer": {
                "numNodes": pool.nodes,
                "command": list(COMMAND),
                "env": env,
                "resourcesPerNode": _resources(placement),
            },
            "runtimePatches": [_patch(pool, site, {**labels, WORKER_LABEL: "worker"})],
        },
    }


def manifest(request: TrainJobRequest, name: str, owner: Owner, arguments: Sequence[str]) -> dict[str, Any]:
    """The TrainJob of a run.

    Args:
        name: by `job_name`.
    """
    made = copy.deepcopy(dict(request.template))
    made["metadata"] |= {"name": name, "ownerReferences": [owner.reference()]}
    trainer = made["spec"]["trainer"]
    trainer |= {"image": request.image, "args": list(arguments)}
    trainer["env"].append({"name": env.WORKERS, "value": ",".join(addresses(name, trainer["numNodes"]))})
    pod = _pod_template(made)["spec"]
    pod |= {"nodeSelector": dict(request.node_selector), "tolerations": [dict(one) for one in request.tolerations]}
    return made


def job_name(run_id: str, node_id: str, workload: str) -> str:
    """The same for every attempt of a node in a run: a retry finds what an earlier attempt started.

    Example:
        >>> job_name("8f1c", "Trainer", "taxi_fares")
        'taxi-fares-trainer-6d5bbc09d5'
    """
    digest = hashlib.sha256(f"{run_id}/{node_id}".encode()).hexdigest()[:10]
    start = "".join(c if c.isalnum() and c.isascii() else "-" for c in f"{workload}-{node_id}".lower())
    start = start[: _NAME_LIMIT - 1 - len(digest)].strip("-")
    return f"{start if start[:1].isalpha() else f't{start}'[: _NAME_LIMIT - 11]}-{digest}"


def addresses(name: str, nodes: int) -> list[str]:
    """Where the workers answer: the names that JobSet's headless service gives to the pods of the job."""
    return [f"{name}-{JOB}-0-{index}.{name}:{PORT}" for index in range(nodes)]


def _resources(placement: Placement) -> dict[str, Any]:
    limits = {"memory": placement.memory}
    requests = {"cpu": cores(placement.cpu), "memory": placement.memory}
    if accelerator := placement.pool.accelerator:
        limits[accelerator.resource] = requests[accelerator.resource] = str(accelerator.count)
    return {"requests": requests, "limits": limits}


def _patch(pool: Pool, site: ClusterSite, labels: Mapping[str, str]) -> dict[str, Any]:
    """What of the pods is the pool's and the site's; the rest is the runtime's (deploy/kubeflow/components/multi-node)."""
    volumes: list[dict[str, Any]] = [
        {"name": "scratch", "emptyDir": {"sizeLimit": site.scratch_size}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": pool.shared_memory}},
    ]
    mounts = [{"name": "scratch", "mountPath": "/tmp"}, {"name": "shared-memory", "mountPath": "/dev/shm"}]  # noqa: S108
    if site.volume:
        volumes.append({"name": "artifacts", "persistentVolumeClaim": {"claimName": site.volume.claim}})
        mounts.append({"name": "artifacts", "mountPath": site.volume.mount_path})
    pod: dict[str, Any] = {
        "serviceAccountName": site.service_account,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": site.run_as_user,
            "runAsGroup": site.run_as_user,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": volumes,
        "containers": [{"name": CONTAINER, "volumeMounts": mounts}],
    }
    if site.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in site.image_pull_secrets]
    if pool.rules():
        rules = [one.model_dump(mode="json", exclude_defaults=True) for one in pool.rules()]
        terms = {"nodeSelectorTerms": [{"matchExpressions": rules}]}
        pod["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    pods = {"metadata": {"labels": dict(labels)}, "spec": pod}
    jobs = [{"name": JOB, "template": {"spec": {"template": pods}}}]
    return {"manager": MANAGER, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": jobs}}}}


def _pod_template(made: Mapping[str, Any]) -> dict[str, Any]:
    (patch,) = made["spec"]["runtimePatches"]
    (job,) = patch["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"]
    found: dict[str, Any] = job["template"]["spec"]["template"]
    return found


def _from_secret(secret: Secret) -> list[dict[str, Any]]:
    return [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret.name, "key": key, "optional": secret.optional}}}
        for name, key in secret.keys.items()
    ]
