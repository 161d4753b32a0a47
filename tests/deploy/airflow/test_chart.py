"""deploy/airflow: values for the official Helm chart, and the manifests that go before it.

The chart is rendered where Helm and the chart are at hand; its keys are the chart's to check, by its own schema, at that moment.
What is ours (the manifests, the Secrets that are named, Airflow's settings) is checked everywhere.
"""

from __future__ import annotations

import functools
import itertools
import os
import pathlib
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import Manifest, check_with_kubernetes, kustomized, problems, restricted_violations, selects

ROOT = pathlib.Path(__file__).resolve().parents[3]
DEPLOY = ROOT / "deploy" / "airflow"
CHART = os.environ.get("TRAINYARD_AIRFLOW_CHART")
"""The chart: `helm pull airflow --repo https://airflow.apache.org --version 1.22.0` makes airflow-1.22.0.tgz."""
SETS = [
    ("base", dags, auth, *cloud)
    for dags, auth, cloud in itertools.product(
        ("dags-baked", "dags-git-sync"), ("auth-fab", "auth-keycloak"), ((), ("aws",), ("signed-releases",))
    )
]
COMPONENTS = ("scheduler", "api-server", "dag-processor", "triggerer", "worker", "run-airflow-migrations", "statsd")
# Of providers that are not in the environment of the tests.
PROVIDERS = {"fab", "keycloak_auth_manager", "kubernetes_executor"}

files = pytest.mark.parametrize("names", SETS, ids="+".join)


@functools.cache
def values(name: str) -> Manifest:
    content = yaml.safe_load((DEPLOY / "values" / f"{name}.yaml").read_text())
    assert isinstance(content, dict)
    return content


def merged(first: Any, second: Any, where: str = "") -> Any:
    """Helm's way with several values files: mappings are merged, all else is replaced. Here nothing may be replaced unseen."""
    if isinstance(first, dict) and isinstance(second, dict):
        return {**first, **{key: merged(first.get(key), value, f"{where}.{key}") for key, value in second.items()}}
    assert first is None or (not isinstance(second, list) and "\n" not in str(second)), f"{where}: replaces {first!r}"
    return second


def of_set(names: tuple[str, ...]) -> Manifest:
    result: Manifest = {}
    for name in names:
        result = merged(result, values(name))
    return result


def manifests(kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in kustomized(DEPLOY / "manifests") if one["kind"] == kind}


def entries(value: Any, key: str) -> list[Any]:
    """All values under a key, wherever it stands."""
    if isinstance(value, dict):
        own = [value[key]] if key in value else []
        return own + [found for inner in value.values() for found in entries(inner, key)]
    return [found for inner in value for found in entries(inner, key)] if isinstance(value, list) else []


# The values


@files
def test_no_file_replaces_what_another_one_lists(names: tuple[str, ...]) -> None:
    assert of_set(names)["executor"] == "KubernetesExecutor"


def test_the_check_of_files_finds_a_list_that_replaces_another() -> None:
    with pytest.raises(AssertionError, match=r"\.env: replaces"):
        merged(values("base"), {"env": [{"name": "A", "value": "b"}]})


def template_keys(secret: str) -> set[str]:
    lines = (DEPLOY / "secrets" / f"{secret}.env.example").read_text().splitlines()
    keys = [line for line in lines if line and not line.startswith("#")]
    assert all(line.endswith("=") for line in keys), f"{secret}: a value"
    return {line.rstrip("=") for line in keys}


def test_every_secret_that_is_named_has_a_template_with_its_key() -> None:
    base = values("base")
    wanted = {
        (base["data"]["metadataSecretName"], "connection"),
        (base["fernetKeySecretName"], "fernet-key"),
        (base["apiSecretKeySecretName"], "api-secret-key"),
        (base["jwtSecretName"], "jwt-secret"),
    } | {(one["secretName"], one["secretKey"]) for one in values("auth-keycloak")["secret"]}
    for secret, key in wanted:
        assert template_keys(secret) == {key}
    connections = [one["secretRef"]["name"] for one in yaml.safe_load(base["extraEnvFrom"])]
    assert all(key.startswith("AIRFLOW_CONN_") for name in connections for key in template_keys(name))


def test_keys_of_releases_go_to_tasks_alone() -> None:
    content = values("signed-releases")
    assert set(content) == {"workers"} and set(content["workers"]) == {"env"}
    named = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in content["workers"]["env"]}
    secret, made = "trainyard-signing", (DEPLOY / "values" / "signed-releases.yaml").read_text()
    assert set(named) == {"TRAINYARD_SIGNING_KEY", "TRAINYARD_PUBLIC_KEYS"}
    for one in named.values():
        assert one["name"] == secret and f"--from-file={one['key']}" in made and f"generic {secret} " in made


@files
def test_no_secret_stands_in_the_values(names: tuple[str, ...]) -> None:
    content = of_set(names)
    assert not content["createUserJob"]["enabled"], "its password would stand in a Job's arguments"
    for key in ("fernetKey", "jwtSecret", "apiSecretKey", "sshKey", "metadataConnection", "client_secret", "password"):
        assert entries(content, key) == []


def test_every_pod_has_limits_and_what_runs_twice_a_budget() -> None:
    base = values("base")
    pods = [
        base[name] for name in ("scheduler", "apiServer", "dagProcessor", "triggerer", "statsd", "migrateDatabaseJob")
    ]
    pods += [base["cleanup"], base["databaseCleanup"], base["workers"]["kubernetes"]]
    pods += [base[name]["logGroomerSidecar"] for name in ("scheduler", "dagProcessor", "triggerer")]
    pods += [values("dags-git-sync")["dags"]["gitSync"]]
    for pod in pods:
        assert {"cpu", "memory"} <= set(pod["resources"]["requests"]) and "memory" in pod["resources"]["limits"]
    for name in ("scheduler", "apiServer", "dagProcessor", "triggerer"):
        assert base[name]["replicas"] >= 2 and base[name]["podDisruptionBudget"]["enabled"]
        assert base[name]["startupProbe" if "startupProbe" in base[name] else "livenessProbe"]["timeoutSeconds"] >= 20


def test_security_contexts_pass_restricted() -> None:
    base = values("base")
    contexts = [
        (base["securityContexts"]["pod"], base["securityContexts"]["containers"]),
        (base["statsd"]["securityContexts"]["pod"], base["statsd"]["securityContexts"]["container"]),
        (base["securityContexts"]["pod"], values("dags-git-sync")["dags"]["gitSync"]["securityContexts"]["container"]),
    ]
    for pod, container in contexts:
        resources = {"limits": {"memory": "1Gi"}}
        one = {"name": "one", "securityContext": container, "resources": resources}
        left = set(restricted_violations({"securityContext": pod, "containers": [one]}))
        # Airflow writes below its home: pods' root file systems stay writable.
        assert left <= {"one: readOnlyRootFilesystem"}


@files
def test_airflow_knows_every_setting(names: tuple[str, ...]) -> None:
    found = sorted((ROOT / ".venv" / "airflow").glob("lib/python3*/site-packages/airflow/config_templates/config.yml"))
    if not found:
        pytest.skip("the airflow environment is not installed")
    known = yaml.safe_load(found[0].read_text())
    for section, options in of_set(names)["config"].items():
        if section not in PROVIDERS:
            assert set(options) <= set(known[section]["options"]), section


def test_what_is_python_compiles() -> None:
    compile(values("auth-fab")["apiServer"]["apiServerConfig"], "webserver_config.py", "exec")


# The manifests


def test_kubernetes_knows_every_field() -> None:
    for manifest in kustomized(DEPLOY / "manifests"):
        assert problems(manifest) == []
        check_with_kubernetes(manifest)
    labels = manifests("Namespace")["airflow"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_rights_are_few_and_go_to_accounts_of_the_values() -> None:
    accounts = {one["name"]: one for one in entries(values("base"), "serviceAccount")}
    bound = set()
    for binding in manifests("RoleBinding").values():
        role = manifests("Role")[binding["roleRef"]["name"]]
        bound |= {subject["name"] for subject in binding["subjects"]}
        for rule in role["rules"]:
            assert set(rule["resources"]) <= {"pods", "pods/log", "events"} and "*" not in rule["verbs"]
    assert bound <= set(accounts), "a misspelt account would have no rights"
    for name, account in accounts.items():
        assert (name in bound) == account.get("automountServiceAccountToken", True), (
            f"{name}: a token and rights, or neither"
        )


def peers(labels: dict[str, str], direction: str) -> list[tuple[Manifest, int]]:
    """Who a pod may call (egress), or who may call it (ingress): (peer, port)."""
    policies = [one["spec"] for one in manifests("NetworkPolicy").values()]
    mine = [one for one in policies if selects(one["podSelector"], labels) and direction.title() in one["policyTypes"]]
    assert any("ingress" not in one and "egress" not in one for one in mine), "closed to begin with"
    side = "to" if direction == "egress" else "from"
    rules = [rule for one in mine for rule in one.get(direction, ())]
    return [(peer, port["port"]) for rule in rules for peer in rule[side] for port in rule["ports"]]


def pod(component: str) -> dict[str, str]:
    return {"tier": "airflow", "release": values("base")["fullnameOverride"], "component": component}


def may_call(caller: str, callee: str, port: int) -> bool:
    """Whether both sides' policies allow it."""

    def named(found: list[tuple[Manifest, int]], other: str) -> bool:
        return any(
            number == port
            and "podSelector" in peer
            and "namespaceSelector" not in peer
            and selects(peer["podSelector"], pod(other))
            for peer, number in found
        )

    return named(peers(pod(caller), "egress"), callee) and named(peers(pod(callee), "ingress"), caller)


@pytest.mark.parametrize("component", COMPONENTS)
def test_pods_reach_what_they_need_and_no_more(component: str) -> None:
    reached = peers(pod(component), "egress")
    ports = {port for _, port in reached}
    assert {53, 443} <= ports
    assert (5432 in ports) == (component not in ("worker", "statsd")), "tasks have no way to the database"
    assert (8888 in ports) == (component in ("worker", "triggerer"))
    assert may_call(component, "api-server", 8080)
    everywhere = [peer["ipBlock"] for peer, _ in reached if peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0"]
    assert all("169.254.0.0/16" in block["except"] for block in everywhere), "a node's own credentials"


def test_nobody_else_is_let_in() -> None:
    assert may_call("api-server", "worker", 8793) and may_call("scheduler", "statsd", 9125)
    assert not may_call("worker", "scheduler", 8793) and not may_call("worker", "worker", 8793)
    for component in ("scheduler", "dag-processor", "worker"):
        assert not any("namespaceSelector" in peer for peer, _ in peers(pod(component), "ingress"))


# The chart


@files
def test_chart_renders(names: tuple[str, ...]) -> None:
    if not (CHART and shutil.which("helm")):
        pytest.skip(
            "needs helm 3.19 or later, and the chart in TRAINYARD_AIRFLOW_CHART (helm pull, see the top of this file)"
        )
    command = ["helm", "template", "airflow", CHART, "--namespace", "airflow", "--kube-version", "1.31.0"]
    for name in names:
        command += ["--values", str(DEPLOY / "values" / f"{name}.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rendered = [one for one in yaml.safe_load_all(done.stdout) if one]
    assert not [one for one in rendered if one["kind"] == "Secret" and "key" in one["metadata"]["name"]], (
        "keys are given"
    )
    assert not [
        one for one in rendered if one["kind"] in ("Role", "ClusterRole", "NetworkPolicy", "PersistentVolumeClaim")
    ]
    accounts = {one["metadata"]["name"] for one in rendered if one["kind"] == "ServiceAccount"}
    assert {subject["name"] for one in manifests("RoleBinding").values() for subject in one["subjects"]} <= accounts
    template = next(one["data"]["pod_template_file.yaml"] for one in rendered if "pod_template_file.yaml" in str(one))
    rendered.append({"kind": "Pod", "apiVersion": "v1", **yaml.safe_load(template)})
    seen = set()
    for manifest in rendered:
        assert problems(manifest) == []
        spec = manifest.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        for inner in [spec["template"]] if "template" in spec else [manifest] if manifest["kind"] == "Pod" else []:
            seen.add(inner["metadata"]["labels"]["component"])
            left = restricted_violations(inner["spec"])
            assert [one for one in left if "readOnlyRootFilesystem" not in one and "limits" not in one] == []
            assert inner["metadata"]["labels"]["release"] == "airflow", "the network policies select by it"
    assert set(COMPONENTS) <= seen
