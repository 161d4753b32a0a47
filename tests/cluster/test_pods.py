"""The pods of a run, created in the namespace of deploy/: Pod Security, the quota and the default sizes are the API server's own."""

from __future__ import annotations

import copy
import functools
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml

from pipelines.runners.kubeflow.cluster.pools import load_pools
from pipelines.runners.kubeflow.cluster.site import load_site
from tests.cluster.api_server import ApiServer, Manifest, Refused
from tests.cluster.kfp_pods import pods

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "kubeflow"


@functools.cache
def pods_of(overlay: str, pool: str) -> dict[str, Manifest]:
    """Of the taxi pipeline, compiled with the overlay's own kubeflow.yaml."""
    # Seconds of imports, of which other tests need none.
    from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload

    site = load_site(DEPLOY / "overlays" / overlay / "kubeflow.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        text = compile_workload(CompileRequest("taxi", site, load_pools(), {"trainer": pool}))
    return pods(text, site.service_account)


@pytest.fixture(scope="module")
def namespace(api_server: ApiServer) -> Iterator[str]:
    """The overlay `shared-volume`, whose objects those of the others are, too."""
    with api_server.namespace("trainyard") as name:
        api_server.kubectl("apply", "-k", DEPLOY / "overlays" / "shared-volume")
        count_anew(api_server, name)
        yield name


def count_anew(api_server: ApiServer, namespace: str) -> None:
    """What the quota's controller does, which is not there: nothing is used yet. Without it no pod is admitted."""
    hard = api_server.get("resourcequota", "trainyard", f"--namespace={namespace}")["spec"]["hard"]
    status = {"status": {"hard": hard, "used": dict.fromkeys(hard, "0")}}
    written = ("--subresource=status", "--type=merge", "-p", json.dumps(status))
    api_server.kubectl("patch", "resourcequota", "trainyard", f"--namespace={namespace}", *written)


def create(api_server: ApiServer, namespace: str, *objects: Manifest, dry_run: bool = False) -> list[Manifest]:
    options = [f"--namespace={namespace}", *(["--dry-run=server"] if dry_run else [])]
    return api_server.create(*objects, options=options)


@pytest.mark.parametrize("overlay", ["shared-volume", "trial", "aks"])
def test_every_pod_of_a_run_is_admitted(api_server: ApiServer, namespace: str, overlay: str) -> None:
    made = create(api_server, namespace, *pods_of(overlay, "cpu").values(), dry_run=True)
    assert len(made) == len(pods_of(overlay, "cpu")) >= 12
    for one in made:
        assert one["status"]["phase"] == "Pending"


@pytest.mark.parametrize("pool", [name for name, pool in load_pools().items() if pool.nodes == 1])
def test_every_pool_fits_the_quota(api_server: ApiServer, namespace: str, pool: str) -> None:
    """Not a dry run: a quota counts what is there."""
    made = create(api_server, namespace, pods_of("trial", pool)["trainer"])
    assert made[0]["status"]["phase"] == "Pending"
    api_server.kubectl("delete", "pod", "trainer", f"--namespace={namespace}")
    count_anew(api_server, namespace)


@pytest.mark.parametrize("file", ["training-runtime.yaml", "search-runtime.yaml"])
def test_the_workers_of_several_nodes_are_admitted(api_server: ApiServer, namespace: str, file: str) -> None:
    """The job that JobSet makes of the runtime, and its pod."""
    runtime = yaml.safe_load((DEPLOY / "components" / "multi-node" / file).read_text())
    (replicated,) = runtime["spec"]["template"]["spec"]["replicatedJobs"]
    spec = {"completions": 2, "parallelism": 2, **replicated["template"]["spec"]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "workers"}, "spec": spec}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "worker"}, "spec": spec["template"]["spec"]}
    assert len(create(api_server, namespace, job, pod, dry_run=True)) == 2


def test_a_container_without_a_size_gets_one(api_server: ApiServer, namespace: str) -> None:
    pod = copy.deepcopy(pods_of("trial", "cpu")["evaluator"])
    del pod["spec"]["containers"][0]["resources"]
    (made,) = create(api_server, namespace, pod, dry_run=True)
    resources = made["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "1Gi"}, "requests": {"cpu": "50m", "memory": "128Mi"}}


def secured(pod: Manifest, **changes: Any) -> None:
    pod["spec"]["containers"][0]["securityContext"].update(changes)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda pod: secured(pod, runAsNonRoot=False), "runAsNonRoot"),
        (lambda pod: secured(pod, allowPrivilegeEscalation=True), "allowPrivilegeEscalation"),
        (lambda pod: secured(pod, capabilities={"add": ["NET_ADMIN"]}), "capabilities"),
        (lambda pod: pod["spec"].update(hostNetwork=True), "hostNetwork"),
        (lambda pod: pod["spec"]["volumes"].append({"name": "host", "hostPath": {"path": "/"}}), "hostPath"),
        (lambda pod: pod["spec"]["containers"][0]["resources"]["limits"].update(memory="2Ti"), "exceeded quota"),
        (lambda pod: pod["spec"].update(serviceAccountName="of-nobody"), "of-nobody"),
        (lambda pod: pod["spec"]["containers"][0].update(comand=["sh"]), "unknown field"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_not_admitted(
    api_server: ApiServer, namespace: str, damage: Callable[[Manifest], None], said: str
) -> None:
    pod = copy.deepcopy(pods_of("trial", "cpu")["evaluator"])
    damage(pod)
    with pytest.raises(Refused, match=said):
        create(api_server, namespace, pod)
