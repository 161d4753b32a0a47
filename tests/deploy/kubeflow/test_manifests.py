"""deploy/kubeflow: every overlay is built by kustomize, and read as a cluster's owner would read it.

No cluster is asked. Fields are checked against the models of the `kubernetes` package and the operators' CRDs, and the runs' pods are
those of a pipeline that is compiled here with the overlay's own kubeflow.yaml.
"""

from __future__ import annotations

import functools
import pathlib
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from components.tuner._storages import PORT
from pipelines.runners.kubeflow.cluster.pools import Pool, load_pools, size_of
from pipelines.runners.kubeflow.cluster.site import DEFAULT_FILE, ClusterSite, load_site
from tests.deploy.manifests import (
    Manifest,
    check_with_kubernetes,
    is_custom,
    kustomized,
    namespace_of,
    problems,
    restricted_violations,
    selects,
    with_several_nodes,
)
from tests.kubernetes_fields import unknown_fields

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy" / "kubeflow"
OVERLAYS = sorted(
    path.parent.relative_to(DEPLOY / "overlays").as_posix() for path in DEPLOY.glob("overlays/**/kustomization.yaml")
)
# Those with runs; the others (Karpenter's node pools) are the cluster's.
CLUSTERS = [name for name in OVERLAYS if (DEPLOY / "overlays" / name / "kubeflow.yaml").exists()]


def built(overlay: str) -> tuple[Manifest, ...]:
    return kustomized(DEPLOY / "overlays" / overlay)


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in built(overlay) if one["kind"] == kind}


def site(overlay: str) -> ClusterSite:
    return load_site(DEPLOY / "overlays" / overlay / "kubeflow.yaml")


def pod_specs(overlay: str) -> list[Manifest]:
    return [
        one["spec"]["template"]["spec"] for one in built(overlay) if one["kind"] in ("StatefulSet", "Deployment", "Job")
    ]


@functools.cache
def compiled_platform() -> tuple[Manifest, Manifest]:
    """Executors, and their platform part, of a pipeline compiled for AKS, whose pods carry a label of the overlay's."""
    # Seconds of imports, of which the other tests need none.
    from pipelines.runners.kubeflow.compiler import CompileRequest, compile_workload

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINYARD_CODE_REVISION", "0123456789ab")
        text = compile_workload(CompileRequest("digits", site("aks"), load_pools(), {"trainer": "a100-4"}))
    pipeline, platform = yaml.safe_load_all(text)
    executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return pipeline["deploymentSpec"]["executors"], executors


# What Kubernetes would refuse


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_it_builds_and_kubernetes_knows_every_field(overlay: str) -> None:
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in built(overlay)]
    assert len(names) == len(set(names))
    for manifest in built(overlay):
        assert problems(manifest) == []
        if not is_custom(manifest):
            check_with_kubernetes(manifest)


@pytest.mark.parametrize(
    ("overlay", "kind", "right", "wrong"),
    [
        ("gke", "ExternalSecret", "remoteRef", "remoteReference"),
        ("gke", "SecretStore", "gcpsm", "gcp"),
        ("eks/karpenter", "NodePool", "operator: In", "operator: Is"),
        ("eks/karpenter", "EC2NodeClass", "amiSelectorTerms", "amiSelectors"),
    ],
)
def test_the_check_of_an_operators_kind_finds_what_is_wrong(overlay: str, kind: str, right: str, wrong: str) -> None:
    manifest = next(iter(of_kind(overlay, kind).values()))
    text = yaml.safe_dump(manifest)
    assert right in text and problems(manifest) == []
    assert problems(yaml.safe_load(text.replace(right, wrong))) != []


def test_the_check_of_fields_finds_a_misspelt_one() -> None:
    database = dict(of_kind("trial", "StatefulSet")["trainyard-metadata"])
    text = (
        yaml.safe_dump(database)
        .replace("readOnlyRootFilesystem", "readOnlyRootFileSystem")
        .replace("replicas: 1", "replicas: one")
    )
    found = problems(yaml.safe_load(text))
    assert len(found) == 2 and any("readOnlyRootFileSystem" in line for line in found), found


@pytest.mark.parametrize(
    "path", sorted(DEPLOY.glob("overlays/*/storage-class.yaml")), ids=lambda path: path.parent.name
)
def test_storage_classes_are_what_the_claim_asks_for(path: pathlib.Path) -> None:
    manifests = list(yaml.safe_load_all(path.read_text()))
    claim = of_kind("shared-volume", "PersistentVolumeClaim")["trainyard"]
    assert [one["metadata"]["name"] for one in manifests] == [claim["spec"]["storageClassName"]]
    for manifest in manifests:
        assert problems(manifest) == []


# What a cluster's owner would refuse


def test_every_pod_is_restricted() -> None:
    pods = [pod for overlay in OVERLAYS for pod in pod_specs(overlay)]
    assert pods, "there is a database to look at"
    for pod in pods:
        assert restricted_violations(pod) == []
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert re.search(r":[^:/]*\d[^:/]*$", container["image"]), f"{container['image']}: no version"
            assert not container["image"].endswith(":latest")
            writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert {"/tmp", "/var/run/postgresql", "/var/lib/postgresql/data"} <= writable


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("capabilities", lambda pod: pod["containers"][0]["securityContext"].pop("capabilities")),
        ("volume tmp", lambda pod: pod["volumes"].append({"name": "tmp", "hostPath": {"path": "/"}})),
        ("seccompProfile", lambda pod: pod["securityContext"].pop("seccompProfile")),
        ("runAsUser", lambda pod: pod["containers"][0]["securityContext"].update(runAsUser=0)),
    ],
)
def test_the_check_of_pods_finds_what_is_missing(where: str, change: Callable[[Manifest], Any]) -> None:
    pod = yaml.safe_load(yaml.safe_dump(pod_specs("trial")[0]))
    change(pod)
    assert any(where in one for one in restricted_violations(pod))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_secret_stands_in_it(overlay: str) -> None:
    assert of_kind(overlay, "Secret") == {}
    text = yaml.safe_dump_all(built(overlay))
    assert not re.search(r"(?i)(password|secret_key|access_key|token)['\"]?: *['\"]?[A-Za-z0-9+/]{8,}", text)
    for manifest in built(overlay):
        for container in manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
            for variable in container.get("env", ()):
                assert variable["name"].endswith("_FILE") or "PASSWORD" not in variable["name"]


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_rights_are_named_one_by_one(overlay: str) -> None:
    assert not of_kind(overlay, "ClusterRole") and not of_kind(overlay, "ClusterRoleBinding")
    roles = of_kind(overlay, "Role")
    assert "trainyard-pipeline-runner" in roles
    for name, role in roles.items():
        for rule in role["rules"]:
            assert not any("*" in word for words in rule.values() for word in words), name
            if {"secrets", "configmaps"} & set(rule["resources"]):
                assert rule["resourceNames"] and rule["verbs"] == ["get"], name
            assert not {"pods", "pods/exec", "roles", "rolebindings", "serviceaccounts/token"} & set(rule["resources"])
    accounts = of_kind(overlay, "ServiceAccount")
    for binding in of_kind(overlay, "RoleBinding").values():
        assert binding["roleRef"]["name"] in roles
        assert {subject["name"] for subject in binding["subjects"]} <= set(accounts)


# What a run needs


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_what_the_site_names_exists(overlay: str) -> None:
    cluster = site(overlay)
    assert cluster.service_account in of_kind(overlay, "ServiceAccount")
    assert cluster.service_account in {
        subject["name"] for one in of_kind(overlay, "RoleBinding").values() for subject in one["subjects"]
    }
    host = re.search(r"//([^:/]+):(\d+)/", cluster.metadata.uri)
    assert host and host[1] in of_kind(overlay, "Service")
    for secret in (cluster.metadata.secret, *cluster.secrets):
        assert secret_keys(overlay, secret.name) == set(secret.keys.values()), secret.name
    if cluster.volume:
        assert cluster.volume.claim in of_kind(overlay, "PersistentVolumeClaim")
    assert not cluster.image.endswith(":latest")
    mounted = {
        volume["secret"]["secretName"] for pod in pod_specs(overlay) for volume in pod["volumes"] if "secret" in volume
    }
    assert mounted <= {cluster.metadata.secret.name}


def secret_keys(overlay: str, name: str) -> set[str]:
    """Keys of a Secret: from the overlay's ExternalSecret, else from the template that is filled in by hand."""
    for external in of_kind(overlay, "ExternalSecret").values():
        if external["spec"]["target"]["name"] == name:
            assert external["spec"]["secretStoreRef"]["name"] in of_kind(overlay, "SecretStore")
            return {entry["secretKey"] for entry in external["spec"]["data"]}
    template = DEPLOY / "secrets" / f"{name}.env.example"
    lines = [line for line in template.read_text().splitlines() if line and not line.startswith("#")]
    assert all(line.endswith("=") for line in lines), f"{template}: a value"
    return {line.rstrip("=") for line in lines}


def test_the_example_site_names_what_the_base_has() -> None:
    cluster = load_site(DEFAULT_FILE)
    assert cluster.service_account in of_kind("trial", "ServiceAccount")
    for secret in (cluster.metadata.secret, *cluster.secrets):
        assert secret_keys("trial", secret.name) == set(secret.keys.values())


def labels_of_runs() -> list[dict[str, str]]:
    """Labels of the pods of a run: what `trainyard compile` says, and what Argo adds."""
    return [
        {**one["podMetadata"]["labels"], "workflows.argoproj.io/workflow": "a-run"}
        for one in compiled_platform()[1].values()
    ]


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_pods_of_a_run_are_closed_in_and_reach_what_they_need(overlay: str) -> None:
    policies = [one["spec"] for one in of_kind(overlay, "NetworkPolicy").values()]
    for labels in labels_of_runs():
        mine = [policy for policy in policies if selects(policy["podSelector"], labels)]
        assert any(
            set(policy["policyTypes"]) == {"Ingress", "Egress"} and set(policy) == {"podSelector", "policyTypes"}
            for policy in mine
        )
        assert not any("ingress" in policy for policy in mine), "nobody calls a node"
        rules = [rule for policy in mine for rule in policy.get("egress", ())]
        assert all(rule.get("to") and rule.get("ports") for rule in rules), "open to all, or on all ports"
        reached = {port["port"] for rule in rules for port in rule["ports"]}
        assert {53, 443, 5432, 8080, 8887, 8888, 8333, 9000} <= reached
        everywhere = [
            peer["ipBlock"]
            for rule in rules
            for peer in rule["to"]
            if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"
        ]
        assert all("169.254.0.0/16" in block["except"] for block in everywhere), "a node's own credentials"
    for database in of_kind(overlay, "StatefulSet").values():
        labels = database["spec"]["template"]["metadata"]["labels"]
        guards = [
            policy
            for policy in policies
            if selects(policy["podSelector"], labels) and "Ingress" in policy["policyTypes"]
        ]
        peers = [peer for policy in guards for rule in policy.get("ingress", ()) for peer in rule["from"]]
        assert peers and all(selects(peer["podSelector"], run) for peer in peers for run in labels_of_runs())
        assert not any(selects(peer["podSelector"], {"app": "a-notebook"}) for peer in peers)


def test_standalone_leaves_the_servers_of_kfp_alone() -> None:
    """The namespace is KFP's own: a policy or quota that caught its servers would stop it."""
    for policy in of_kind("standalone", "NetworkPolicy").values():
        assert not selects(policy["spec"]["podSelector"], {"app": "ml-pipeline"})
        assert not selects(policy["spec"]["podSelector"], {"workflows.argoproj.io/workflow": "of another team"})
    taken = {"pipeline-runner", "default", "ml-pipeline", "argo"}
    assert not taken & (set(of_kind("standalone", "ServiceAccount")) | set(of_kind("standalone", "Role")))
    assert not {"Namespace", "ResourceQuota", "LimitRange"} & {one["kind"] for one in built("standalone")}
    assert {one["metadata"]["namespace"] for one in built("standalone")} == {"kubeflow"}


def test_quota_and_defaults_admit_every_pool() -> None:
    quota = of_kind("gke", "ResourceQuota")["trainyard"]["spec"]["hard"]
    (limits,) = of_kind("gke", "LimitRange")["trainyard"]["spec"]["limits"]
    executors, _ = compiled_platform()
    for executor in executors.values():
        asked = executor["container"]["resources"]
        assert "resourceCpuRequest" in asked and "resourceCpuLimit" not in asked
    # Such pods are refused where CPU limits are counted, or where a default limit is below what they ask for.
    assert "limits.cpu" not in quota and "cpu" not in {**limits.get("default", {}), **limits.get("max", {})}
    for pool in load_pools().values():
        assert pool.nodes * pool.cpu <= float(quota["requests.cpu"])
        assert pool.nodes * size_of(pool.memory) <= min(
            size_of(quota["limits.memory"]), size_of(quota["requests.memory"])
        )
        if pool.accelerator:
            assert pool.nodes * pool.accelerator.count <= int(quota[f"requests.{pool.accelerator.resource}"])


def test_pod_labels_of_the_site_reach_the_pods() -> None:
    assert site("aks").pod_labels == {"azure.workload.identity/use": "true"}
    for labels in labels_of_runs():
        assert labels["azure.workload.identity/use"] == "true"
        assert labels["app.kubernetes.io/managed-by"] == "trainyard"


# Deleted pods


def test_argo_keeps_how_a_deleted_pod_ended(tmp_path: pathlib.Path) -> None:
    """The component is named beside KFP's manifests, of which Argo's controller is enough here."""
    shutil.copytree(DEPLOY / "components" / "argo-pod-status", tmp_path / "component")
    container = {"name": "workflow-controller", "image": "argo", "env": [{"name": "LEADER_ELECTION", "value": "1"}]}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "workflow-controller"}}
    deployment["spec"] = {"selector": {}, "template": {"spec": {"containers": [container]}}}
    (tmp_path / "argo.yaml").write_text(yaml.safe_dump(deployment))
    kustomization = {"kind": "Kustomization", "resources": ["argo.yaml"], "components": ["component"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (made,) = kustomized(tmp_path)
    (container,) = made["spec"]["template"]["spec"]["containers"]
    values = {one["name"]: one["value"] for one in container["env"]}
    assert values == {"LEADER_ELECTION": "1", "ARGO_POD_STATUS_CAPTURE_FINALIZER": "true"}


# Several nodes


@pytest.mark.parametrize("overlay", ["standalone", "gke"])
def test_with_several_nodes(overlay: str, tmp_path: pathlib.Path) -> None:
    folder = with_several_nodes(overlay, tmp_path)
    made = {(one["kind"], one["metadata"]["name"]): one for one in kustomized(folder)}
    before = {(one["kind"], one["metadata"]["name"]) for one in built(overlay)}
    added = {key: one for key, one in made.items() if key not in before}
    assert {kind for kind, _ in added} == {"TrainingRuntime", "Role", "RoleBinding", "NetworkPolicy"}
    assert {one["metadata"]["namespace"] for one in added.values()} == {namespace_of(folder)}
    assert [problem for one in added.values() for problem in problems(one)] == []
    (rule,) = added["Role", "trainyard-train-jobs"]["rules"]
    assert rule == {
        "apiGroups": ["trainer.kubeflow.org"],
        "resources": ["trainjobs"],
        "verbs": ["create", "get", "patch", "delete"],
    }
    (subject,) = added["RoleBinding", "trainyard-train-jobs"]["subjects"]
    assert subject["name"] == site(overlay).service_account
    cluster = site(overlay)
    _check_runtime(added["TrainingRuntime", cluster.training_runtime], {"backoffLimit": 0})
    _check_runtime(added["TrainingRuntime", cluster.search_runtime], {"backoffLimitPerIndex": 6})
    _check_network([one["spec"] for key, one in made.items() if key[0] == "NetworkPolicy"])


def _check_runtime(runtime: Manifest, backoff: dict[str, int]) -> None:
    """Args:
    backoff: how often a machine that is lost is started again.
    """
    spec = runtime["spec"]["template"]["spec"]
    assert spec["failurePolicy"] == {"maxRestarts": 0}
    (job,) = spec["replicatedJobs"]
    assert job["name"] == "node"
    assert {key: value for key, value in job["template"]["spec"].items() if key.startswith("backoff")} == backoff
    pod = job["template"]["spec"]["template"]["spec"]
    # Kubernetes has it since 1.28, and the models of this client do not.
    known = {key: value for key, value in job["template"]["spec"].items() if key != "backoffLimitPerIndex"}
    assert list(unknown_fields(known, "V1JobSpec", "job")) == []
    assert restricted_violations(pod) == [] and pod["automountServiceAccountToken"] is False


def _check_network(policies: list[Manifest]) -> None:
    """Workers reach each other and the object store, and neither the metadata store nor KFP; nobody else reaches them."""
    worker = {"trainyard.dev/train-job": "worker", "app.kubernetes.io/managed-by": "trainyard"}
    mine = [one for one in policies if selects(one["podSelector"], worker)]
    ingress = [rule for one in mine for rule in one.get("ingress", ())]
    assert [peer for rule in ingress for peer in rule["from"]] == [{"podSelector": mine_only()}]
    (ports,) = ingress[0]["ports"]
    assert ports["port"] <= 2222 <= ports["endPort"]
    # Where policies of the base go by our own label (standalone), a worker has the openings of the other pods as well.
    if not any("matchLabels" in one["podSelector"] for one in mine):
        reached = {port["port"] for one in mine for rule in one.get("egress", ()) for port in rule["ports"]}
        assert {53, 443} <= reached and not {5432, 8080, 8887, 8888} & reached

    _check_the_way_to_the_trials(policies)


def _check_the_way_to_the_trials(policies: list[Manifest]) -> None:
    """The machines of a search reach the pod that keeps the trials, and nobody else does; the Trainer's workers do not."""
    ours = {"trainyard.dev/node": "Tuner", "app.kubernetes.io/managed-by": "trainyard"}
    tuner, searcher = {**ours, "workflows.argoproj.io/workflow": "w"}, {**ours, "trainyard.dev/train-job": "worker"}
    into = [rule for one in policies if selects(one["podSelector"], tuner) for rule in one.get("ingress", ())]
    (rule,) = (one for one in into if {"protocol": "TCP", "port": PORT} in one["ports"])
    out = [rule for one in policies if selects(one["podSelector"], searcher) for rule in one.get("egress", ())]
    (way,) = (one for one in out if {"protocol": "TCP", "port": PORT} in one["ports"])
    assert selects(rule["from"][0]["podSelector"], searcher) and selects(way["to"][0]["podSelector"], tuner)
    for other in (tuner, {**searcher, "trainyard.dev/node": "Trainer"}):
        assert not selects(rule["from"][0]["podSelector"], other)


def mine_only() -> Manifest:
    return {"matchExpressions": [{"key": "trainyard.dev/train-job", "operator": "Exists"}]}


# Pools


def explained() -> dict[str, list[str]]:
    """Pool -> the lines about it in an overlay, from `# pool: NAME` to the next."""
    found: dict[str, list[str]] = {}
    for path in sorted([*DEPLOY.glob("overlays/**/node-pools.sh"), *DEPLOY.glob("overlays/**/node-pools.yaml")]):
        _, *sections = re.split(r"^# pool: ", path.read_text(), flags=re.MULTILINE)
        for section in sections:
            found.setdefault(re.match(r"[a-z0-9-]+", section)[0], []).append(section)  # type: ignore[index]
    return found


def words(pool: Pool) -> set[str]:
    """What nodes of a pool must have: labels, taints, kinds of machine."""
    needed = {*pool.node_selector, *pool.node_selector.values()}
    needed |= {toleration.key for toleration in pool.tolerations if toleration.key}
    needed |= {toleration.value for toleration in pool.tolerations if toleration.value}
    return needed | {word for rule in pool.affinity for word in (rule.key, *rule.values)}


def test_every_pool_is_explained_in_an_overlay() -> None:
    sections = explained()
    pools = {name: pool for name, pool in load_pools().items() if words(pool)}
    assert set(sections) == set(pools)
    for name, pool in pools.items():
        for section in sections[name]:
            missing = {word for word in words(pool) if word not in section}
            assert not missing, f"{name}: {missing}"


def test_karpenters_nodes_are_the_pools() -> None:
    """Karpenter's objects are data, so the pods' rules are held against them and not against words."""
    nodes = of_kind("eks/karpenter", "NodePool")
    for name, node_pool in (("eks-a10g", "trainyard-a10g"), ("eks-a10g-spot", "trainyard-a10g-spot")):
        pool, template = load_pools()[name], nodes[node_pool]["spec"]["template"]["spec"]
        offered = {rule["key"]: set(rule["values"]) for rule in template["requirements"]}
        for key, value in pool.node_selector.items():
            assert offered[key] == {value}
        for rule in pool.affinity:
            assert offered[rule.key] <= set(rule.values)
        kept_off = {rule.key: set(rule.values) for rule in pool.rules() if rule.operator == "NotIn"}
        assert all(not offered.get(key, set()) & values for key, values in kept_off.items())
        assert {taint["key"] for taint in template["taints"]} <= {toleration.key for toleration in pool.tolerations}
        assert template["nodeClassRef"]["name"] in of_kind("eks/karpenter", "EC2NodeClass")


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("overlays/*/node-pools.sh")), ids=lambda path: path.parent.name)
def test_scripts_parse_and_ask_for_their_arguments(path: pathlib.Path) -> None:
    assert subprocess.run(["sh", "-n", path], capture_output=True).stderr == b""
    assert path.stat().st_mode & 0o100, "not executable"
