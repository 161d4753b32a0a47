"""Pools: where a component's pods may run, and what they may ask for (`pools.yaml`)."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, field_validator, model_validator

from components.trainer.record import RECORD as TRAINER_RECORD
from components.tuner.record import RECORD as TUNER_RECORD
from pipelines.runners.kubeflow.cluster.site import Section, checked_labels, load_yaml
from spec.errors import InputError
from spec.workload import Resources

DEFAULT_FILE = pathlib.Path(__file__).parents[1] / "pools.yaml"
DEFAULT_POOL = "cpu"
TRAINER, TUNER = TRAINER_RECORD.id, TUNER_RECORD.id
_UNITS = {"": 1, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
Memory = Annotated[str, Field(pattern=r"^\d+(\.\d+)?(Ki|Mi|Gi|Ti)?$")]


# Labels of spot nodes: Karpenter, EKS's node groups, GKE (two) and AKS.
_SPOT = {
    "karpenter.sh/capacity-type": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "cloud.google.com/gke-spot": "true",
    "cloud.google.com/gke-preemptible": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
}


class Toleration(Section):
    """A taint that pods of the pool tolerate, as Kubernetes writes it."""

    key: str | None = None
    operator: Literal["Equal", "Exists"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None

    @model_validator(mode="after")
    def _bearable(self) -> Toleration:
        if self.operator == "Exists" and self.value is not None:
            raise ValueError(f"operator Exists takes no value. Received: {self.value!r}")
        if self.operator == "Equal" and not self.key:
            raise ValueError("a toleration without a key bears every taint: write operator: Exists")
        if self.key:
            checked_labels({self.key: self.value or ""})
        return self


class Affinity(Section):
    """A rule about a node's labels, like one of Kubernetes' matchExpressions."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _readable(self) -> Affinity:
        checked_labels(dict.fromkeys([self.key], ""))
        if self.operator in ("Exists", "DoesNotExist") and self.values:
            raise ValueError(f"operator {self.operator} takes no values. Received: {list(self.values)}")
        if self.operator in ("In", "NotIn"):
            if not self.values:
                raise ValueError(f"operator {self.operator} needs values")
            for value in self.values:
                checked_labels({self.key: value})
        if self.operator in ("Gt", "Lt") and not (len(self.values) == 1 and re.fullmatch(r"-?\d+", self.values[0])):
            raise ValueError(f"operator {self.operator} takes one whole number. Received: {list(self.values)}")
        return self


class Accelerator(Section):
    resource: str = Field(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")
    """The extended resource that the device plugin offers, e.g. nvidia.com/gpu."""
    count: int = Field(default=1, ge=1, le=16)
    """How many a pod gets."""


class NodeSize(Section):
    """What one node of the pool can give to one pod; a request above it would wait for ever."""

    cpu: float = Field(gt=0)
    memory: Memory
    accelerators: int = Field(default=0, ge=0)


class Pool(Section):
    """One kind of node."""

    description: str = ""
    """For a reader."""
    node_selector: dict[str, str] = {}
    """Labels that a node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that the pods bear."""
    affinity: tuple[Affinity, ...] = ()
    """Further rules over a node's labels; all must hold."""
    accelerator: Accelerator | None = None
    """GPUs or the like."""
    cpu: float = Field(default=1, gt=0)
    """CPU cores that a pod asks for, unless the workload says otherwise."""
    memory: Memory = "4Gi"
    """Memory that a pod gets, unless the workload says otherwise."""
    shared_memory: Memory = "1Gi"
    """Size of /dev/shm. It counts as memory."""
    deadline_minutes: int = Field(default=240, ge=1)
    """How long one attempt of a node may take."""
    retries: int = Field(default=2, ge=0, le=20)
    """How often a failed pod starts again. A failure that needs mending is told from others by the node itself."""
    nodes: int = Field(default=1, ge=1, le=64)
    """How many machines share the work, each with what a pod asks for; more than 1 for Trainer and Tuner alone, as a TrainJob."""
    spot: bool = False
    """Whether nodes may be taken away. Where not, pods keep off nodes that a cloud labels as such."""
    node: NodeSize | None = None
    """What one node can give."""

    @field_validator("node_selector")
    @classmethod
    def _labels(cls, labels: dict[str, str]) -> dict[str, str]:
        return checked_labels(labels)

    def rules(self) -> tuple[Affinity, ...]:
        """`affinity`, and rules that keep pods off spot nodes."""
        if self.spot:
            return self.affinity
        return self.affinity + tuple(Affinity(key=k, operator="NotIn", values=(v,)) for k, v in _SPOT.items())

    @model_validator(mode="after")
    def _possible(self) -> Pool:
        if self.spot and self.retries == 0:
            raise ValueError("a spot pool loses its nodes: retries must be 1 or more. Received: 0")
        return self


class Pools(RootModel[dict[Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")], Pool]]):
    """The whole file: name -> pool."""


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where one component runs and what it asks for."""

    pool_name: str
    pool: Pool
    cpu: float
    memory: str


def load_pools(path: pathlib.Path | None = None) -> dict[str, Pool]:
    """Reads and checks a file of pools; None: the one that is part of Trainyard.

    Raises:
        InputError: file, field, what was received and how to mend it.
    """
    path = path or DEFAULT_FILE
    pools = load_yaml(path, Pools).root
    if DEFAULT_POOL not in pools:
        raise InputError(f"{path}: has no pool {DEFAULT_POOL!r}; components that ask for none run there. Add it.")
    return pools


def place(
    components: list[str], resources: Mapping[str, Resources], chosen: Mapping[str, str], pools: Mapping[str, Pool]
) -> dict[str, Placement]:
    """Where every component runs.

    Args:
        chosen: component -> pool for this compilation; ids are not case-sensitive.

    Raises:
        InputError: a component or pool does not exist, or no node of the pool can meet a request.
    """
    by_lower = {component.lower(): component for component in components}
    for where, names in (("workload.yaml, resources", resources), ("--pool", chosen)):
        for name in names:
            if name.lower() not in by_lower:
                raise InputError(f"{where}: there is no component {name!r}. Known: {', '.join(components)}.")
    asked = {by_lower[name.lower()]: value for name, value in resources.items()}
    override = {by_lower[name.lower()]: value for name, value in chosen.items()}
    return {name: _placement(name, asked.get(name, Resources()), override.get(name), pools) for name in components}


def _placement(component: str, asked: Resources, chosen: str | None, pools: Mapping[str, Pool]) -> Placement:
    name = chosen or asked.pool or DEFAULT_POOL
    if name not in pools:
        raise InputError(f"{component}: there is no pool {name!r} in pools.yaml. Known: {', '.join(sorted(pools))}.")
    pool = pools[name]
    placement = Placement(name, pool, asked.cpu or pool.cpu, asked.memory or pool.memory)
    _check_possible(component, placement)
    return placement


def _check_possible(component: str, placement: Placement) -> None:
    pool, who = placement.pool, f"{component} on pool {placement.pool_name!r}"
    if pool.nodes > 1 and component not in (TRAINER, TUNER):
        raise InputError(
            f"{who}: the pool has {pool.nodes} nodes, and only {TRAINER} and {TUNER} share their work among several. "
            "Choose another pool."
        )
    if size_of(pool.shared_memory) >= size_of(placement.memory):
        raise InputError(
            f"{who}: /dev/shm of {pool.shared_memory} counts as memory and does not fit into {placement.memory}. "
            "Ask for more memory, or give the pool less shared_memory."
        )
    if pool.node is None:
        return
    count = pool.accelerator.count if pool.accelerator else 0
    for what, wanted, given in (
        ("CPU cores", placement.cpu, pool.node.cpu),
        ("bytes of memory", size_of(placement.memory), size_of(pool.node.memory)),
        ("accelerators", count, pool.node.accelerators),
    ):
        if wanted > given:
            raise InputError(
                f"{who}: asks for {wanted:g} {what}, and a node there can give {given:g}. Ask for less, or choose another pool."
            )


def size_of(memory: str) -> int:
    """Bytes of a quantity such as 4Gi."""
    match = re.fullmatch(r"([\d.]+)(\D*)", memory)
    assert match, memory
    return math.ceil(float(match[1]) * _UNITS[match[2]])


def cores(cpu: float) -> str:
    """CPU cores as Kubernetes takes them: in thousandths, rounded up.

    Example:
        >>> cores(4), cores(0.0001), cores(12500)
        ('4', '0.001', '12500')
    """
    return f"{math.ceil(round(cpu * 1000, 6)) / 1000:.3f}".rstrip("0").rstrip(".")


def as_json(pool: Pool) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """A pool's node selector and tolerations, as KFP's run parameters take them."""
    return dict(pool.node_selector), [one.model_dump(exclude_none=True) for one in pool.tolerations]
