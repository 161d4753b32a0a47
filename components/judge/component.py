from __future__ import annotations

from tfx.dsl.components.base import executor_spec

from components.graph import Graph
from components.judge.executor import Executor
from components.release_importer.component import ReleaseImporter


class Judge(ReleaseImporter):
    """Brings the release that judges into the pipeline; its version and digest are in the cache key, so another one judges anew."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def node(graph: Graph) -> Judge | None:
    return Judge.named(graph, "evaluation.judge", graph.workload.evaluation.judge)
