"""Configures a task's pod, by KFP's SDK and kfp-kubernetes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kfp import kubernetes
from kfp.dsl import PipelineTask

from components.pusher.record import RECORD as PUSHER_RECORD
from pipelines.runners.kubeflow import grouping, retries
from pipelines.runners.kubeflow.cluster.pools import TRAINER, Placement, Pool, cores, size_of
from pipelines.runners.kubeflow.cluster.site import ClusterSite, Secret
from spec import environment as env


def configure(
    task: PipelineTask, node_ids: Sequence[str], placement: Placement, site: ClusterSite, origin: Mapping[str, str]
) -> None:
    """Configures everything but where the pod may run: size, retries, labels, Secrets, volumes, security.

    Args:
        node_ids: what runs in it.
        origin: workload and revision, for labels.
    """
    pool = placement.pool
    task.set_display_name(grouping.name_of(node_ids))
    # MLMD caches by content; KFP's cache would not notice new bytes behind an old URI.
    task.set_caching_options(False)
    # The time budget of all attempts is set in `compiler._kfp_pipeline`: KFP's SDK would limit it to an hour.
    task.set_retry(pool.retries, backoff_duration=f"{retries.PAUSE_S}s", backoff_factor=float(retries.FACTOR))
    task.set_cpu_request(cores(placement.cpu))
    task.set_memory_request(kfp_memory(placement.memory))
    task.set_memory_limit(kfp_memory(placement.memory))
    if pool.accelerator:
        task.set_accelerator_type(pool.accelerator.resource)
        task.set_accelerator_limit(pool.accelerator.count)
    kubernetes.set_timeout(task, pool.deadline_minutes * 60)
    if rules := pool.rules():
        kubernetes.add_node_affinity(task, match_expressions=[one.model_dump() for one in rules])
    for key, value in labels(node_ids, placement.pool_name, site, origin).items():
        kubernetes.add_pod_label(task, key, value)
    task.set_env_variable(env.METADATA, site.metadata.uri)
    for key, value in environment(node_ids, site, origin).items():
        task.set_env_variable(key, value)
    _configure_access(task, site, pool.shared_memory)
    if PUSHER_RECORD.id in node_ids and site.signing_key:
        _use_secret(task, site.signing_key)


def labels(node_ids: Sequence[str], pool_name: str, site: ClusterSite, origin: Mapping[str, str]) -> dict[str, str]:
    """Labels of a pod: what it is, and where it comes from."""
    return {
        **site.pod_labels,
        "app.kubernetes.io/managed-by": "trainyard",
        "trainyard.dev/node": label_value(grouping.name_of(node_ids)),
        "trainyard.dev/pool": pool_name,
        **{f"trainyard.dev/{key}": label_value(value) for key, value in origin.items()},
    }


def environment(node_ids: Sequence[str], site: ClusterSite, origin: Mapping[str, str]) -> dict[str, str]:
    """Environment variables of a pod, without the metadata store's and Secrets."""
    # The root file system may be read-only, so what libraries write to a default place goes here.
    found = {"HOME": "/tmp", env.HOME: "/tmp/trainyard", env.ASSETS: site.assets}  # noqa: S108
    root = site.root_of(origin["workload"])
    if TRAINER in node_ids and "://" in root:
        # A pod's own disk vanishes with it. On a volume, checkpoints lie beside the artifacts by default.
        found[env.CHECKPOINTS] = f"{root}/{TRAINER}/.system/checkpoints"
    return {**found, **site.environment}


def tell_who_it_is(task: PipelineTask) -> None:
    """Tells a pod its own identity, so that it can own others."""
    for name, path in {
        env.POD_NAME: "metadata.name",
        env.POD_UID: "metadata.uid",
        env.POD_NAMESPACE: "metadata.namespace",
    }.items():
        kubernetes.use_field_path_as_env(task, name, path)


def let_it_keep_trials(task: PipelineTask, site: ClusterSite) -> None:
    """Gives the Tuner of a search on several nodes the address at which those reach it, and the database of the trials."""
    kubernetes.use_field_path_as_env(task, env.POD_IP, "status.podIP")
    if site.search_storage:
        _use_secret(task, site.search_storage)


def _configure_access(task: PipelineTask, site: ClusterSite, shared_memory: str) -> None:
    for secret in (site.metadata.secret, *site.secrets):
        _use_secret(task, secret)
    kubernetes.set_image_pull_policy(task, site.image_pull_policy)
    if site.image_pull_secrets:
        kubernetes.set_image_pull_secrets(task, list(site.image_pull_secrets))
    kubernetes.empty_dir_mount(task, "scratch", "/tmp", size_limit=site.scratch_size)  # noqa: S108
    kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory", size_limit=shared_memory)  # noqa: S108
    if site.volume:
        kubernetes.mount_pvc(task, pvc_name=site.volume.claim, mount_path=site.volume.mount_path)
    kubernetes.set_security_context(
        task, run_as_user=site.run_as_user, run_as_group=site.run_as_user, run_as_non_root=True
    )


def _use_secret(task: PipelineTask, secret: Secret) -> None:
    variables = {key: variable for variable, key in secret.keys.items()}
    kubernetes.use_secret_as_env(task, secret.name, variables, optional=secret.optional)


def keep_to_pool(task: PipelineTask, pool: Pool) -> None:
    """Writes into the file where the pod may run: the default pool cannot be chosen per run."""
    for key, value in pool.node_selector.items():
        kubernetes.add_node_selector(task, key, value)
    for one in pool.tolerations:
        kubernetes.add_toleration(task, **one.model_dump(exclude_none=True))


def label_value(text: str) -> str:
    """A text turned into a valid Kubernetes label value."""
    return re.sub(r"[^A-Za-z0-9_.-]", "-", text)[:63].strip("-_.") or "unknown"


def kfp_memory(memory: str) -> str:
    """A quantity for KFP, which wants a whole number with a unit; Kubernetes also takes bare bytes and fractions."""
    return memory if re.fullmatch(r"\d+(Ki|Mi|Gi|Ti)", memory) else f"{-(-size_of(memory) // 2**20)}Mi"
