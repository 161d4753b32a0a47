from __future__ import annotations

from tfx.dsl.components.base import executor_spec

from components.graph import Graph
from components.release_importer.component import ReleaseImporter
from components.teacher.executor import Executor


class Teacher(ReleaseImporter):
    """Brings the release into the pipeline that a model learns from; another one trains anew."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def node(graph: Graph) -> Teacher | None:
    teacher = graph.workload.training.teacher
    return Teacher.named(graph, "training.teacher", teacher.release if teacher else None)
