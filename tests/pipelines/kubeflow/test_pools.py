"""Pools: what is asked for is placed, and what no node can give is refused before anything is compiled."""

from __future__ import annotations

import pathlib

import pytest

from pipelines.runners.kubeflow.cluster.pools import load_pools, place
from spec.errors import InputError
from spec.workload import Resources

COMPONENTS = ["Transform", "Trainer"]


def test_a_component_runs_where_it_asks_to_and_the_command_line_wins() -> None:
    pools = load_pools()
    placed = place(COMPONENTS, {"Trainer": Resources(pool="a100", memory="80Gi")}, {}, pools)
    assert (placed["Trainer"].pool_name, placed["Trainer"].memory, placed["Trainer"].cpu) == ("a100", "80Gi", 8)
    assert placed["Transform"].pool_name == "cpu"
    assert (
        place(COMPONENTS, {"Trainer": Resources(pool="a100")}, {"trainer": "gke-l4"}, pools)["Trainer"].pool_name
        == "gke-l4"
    )


def test_pods_keep_off_spot_nodes_unless_the_pool_is_spot() -> None:
    pools = load_pools()
    for name in ("gke-l4", "eks-a10g", "aks-a100"):
        clouds = {rule.key.split(".")[0] for rule in pools[name].rules() if rule.operator == "NotIn"}
        assert clouds == {"karpenter", "eks", "cloud", "kubernetes"}, name
    for name, pool in pools.items():
        if pool.spot:
            assert not [rule for rule in pool.rules() if rule.operator == "NotIn"], name


@pytest.mark.parametrize(
    ("resources", "chosen", "said"),
    [
        ({"Trainer": Resources(pool="b200")}, {}, "there is no pool 'b200'"),
        ({"Tuner": Resources()}, {}, "workload.yaml, resources: there is no component 'Tuner'"),
        ({}, {"tuner": "a100"}, "--pool: there is no component 'tuner'. Known: Transform, Trainer"),
        ({"Trainer": Resources(pool="gke-l4", cpu=64)}, {}, "asks for 64 CPU cores, and a node there can give 7.9"),
        ({"Trainer": Resources(pool="gke-l4", memory="1Ti")}, {}, "bytes of memory"),
        ({"Trainer": Resources(pool="gke-l4", memory="4Gi")}, {}, "/dev/shm of 8Gi counts as memory"),
    ],
)
def test_impossible_requests(resources: dict[str, Resources], chosen: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(").replace(".", r"\.")):
        place(COMPONENTS, resources, chosen, load_pools())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gpu: {}", "has no pool 'cpu'"),
        ("cpu: {gpus: 1}", "field cpu.gpus: there is no such field"),
        ("cpu: {spot: true, retries: 0}", "retries must be 1 or more"),
        ("cpu: {nodes: 0}", "field cpu.nodes"),
        ("cpu: {nodes: 65}", "field cpu.nodes"),
        ("cpu: {memory: lots}", "field cpu.memory"),
        ("cpu: {node_selector: {'not a label': x}}", "is no label of Kubernetes"),
        ("cpu: {tolerations: [{key: a, operator: Exists, value: b}]}", "operator Exists takes no value"),
        ("cpu: {tolerations: [{value: b}]}", "a toleration without a key bears every taint"),
        ("cpu: {affinity: [{key: a, operator: In}]}", "operator In needs values"),
        ("cpu: {affinity: [{key: a, operator: Exists, values: [b]}]}", "operator Exists takes no values"),
        ("cpu: {affinity: [{key: a, operator: Gt, values: [many]}]}", "operator Gt takes one whole number"),
        ("cpu: [", "not valid YAML"),
    ],
)
def test_a_file_of_pools_that_says_nonsense(tmp_path: pathlib.Path, text: str, said: str) -> None:
    (tmp_path / "pools.yaml").write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        load_pools(tmp_path / "pools.yaml")
    assert "\n" not in str(caught.value)
