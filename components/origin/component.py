from __future__ import annotations

from tfx.dsl.components.base import executor_spec

from components.graph import Graph
from components.origin.executor import Executor
from components.release_importer.component import ReleaseImporter
from spec.workload import CHAMPION


class Origin(ReleaseImporter):
    """Brings the release into the pipeline whose weights a training begins with; another one trains anew.

    The workload's own champion is brought by ChampionResolver.
    """

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def node(graph: Graph) -> Origin | None:
    start = graph.workload.training.start_from
    return Origin.named(graph, "training.start_from", None if start == CHAMPION else start)
