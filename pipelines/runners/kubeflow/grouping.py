"""Which nodes share a task, and so a pod (docs/decisions/0053)."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from components.pusher.record import RECORD as PUSHER
from components.transform.record import RECORD as TRANSFORM
from pipelines.runners.kubeflow.cluster.pools import TRAINER, Placement, size_of
from pipelines.runners.kubeflow.cluster.site import ClusterSite
from spec import graph

_BAR = re.compile(r"(?<=\w)(?=[A-Z])")


class Tasks(enum.StrEnum):
    """What a task of the compiled pipeline is."""

    EACH = "each"
    GROUPED = "grouped"


def groups(placements: Mapping[str, Placement], site: ClusterSite, tasks: Tasks) -> list[tuple[str, ...]]:
    """The nodes of each task.

    A group ends where the data has passed its gates, where the model is trained, and where the pool changes, so that no node waits
    on a pool that it did not ask for. As groups are stretches of the graph's order, none can wait for a later one.

    Args:
        placements: of every node.

    Example:
        >>> from pipelines.runners.kubeflow.cluster.pools import Pool
        >>> cpu, gpu = Placement("cpu", Pool(), 1, "4Gi"), Placement("gpu", Pool(), 8, "60Gi")
        >>> placed = {"DriftDetector": cpu, "Transform": cpu, "Trainer": gpu, "Evaluator": cpu, "Pusher": cpu}
        >>> site = ClusterSite(root="s3://bucket", data="s3://bucket", store="s3://bucket")
        >>> groups(placed, site, Tasks.GROUPED)
        [('DriftDetector',), ('Transform',), ('Trainer',), ('Evaluator', 'Pusher')]
    """
    if tasks is Tasks.EACH:
        return [(node,) for node in placements]
    alone = {
        node for node, placed in placements.items() if placed.pool.nodes > 1
    }  # its pod starts a TrainJob and waits
    if site.signing_key:
        alone.add(PUSHER.id)  # no pod that runs a workload's code sees the key
    made: list[tuple[str, ...]] = []
    for node in sorted(placements, key=[record.id for record in graph.records()].index):
        if not made or _parts(made[-1][-1], node, placements, alone):
            made.append((node,))
        else:
            made[-1] += (node,)
    return made


def _parts(before: str, node: str, placements: Mapping[str, Placement], alone: AbstractSet[str]) -> bool:
    """Whether a node begins a task of its own after the one before it."""
    return (
        node == TRANSFORM.id
        or before == TRAINER
        or not alone.isdisjoint((before, node))
        or placements[before].pool_name != placements[node].pool_name
    )


def shared_placement(placements: Sequence[Placement]) -> Placement:
    """A pod that is big enough for each of its nodes: they run one after another, on one pool."""
    return dataclasses.replace(
        placements[0],
        cpu=max(one.cpu for one in placements),
        memory=max((one.memory for one in placements), key=size_of),
    )


def name_of(node_ids: Sequence[str]) -> str:
    """What a task is called.

    Example:
        >>> name_of(["Trainer"]), name_of(["Evaluator", "InfraValidator", "Pusher"])
        ('Trainer', 'Evaluator to Pusher')
    """
    return node_ids[0] if len(node_ids) == 1 else f"{node_ids[0]} to {node_ids[-1]}"


def output_name(node_ids: Sequence[str], node_id: str, name: str) -> str:
    """The name of a node's output among those of its task: its own, unless another node of the task shows one of that name.

    Example:
        >>> output_name(["Judge", "Teacher"], "Judge", "model"), output_name(["Judge"], "Judge", "model")
        ('judge_model', 'model')
    """
    shows = [record.shows for record in map(graph.find, node_ids) if record]
    return f"{snake_case(node_id)}_{name}" if sum(name in one for one in shows) > 1 else name


def snake_case(name: str) -> str:
    """`ColumnarExampleGen` -> `columnar_example_gen`."""
    return re.sub(r"\W+", "_", _BAR.sub("_", name)).lower()
