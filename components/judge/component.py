from __future__ import annotations

from tfx.dsl.components.base import executor_spec
from tfx.types import component_spec

from components.graph import Graph
from components.judge.driver import Driver
from components.judge.executor import Executor
from components.release_importer.component import ReleaseImporter, ReleaseImporterSpec


class JudgeSpec(ReleaseImporterSpec):
    PARAMETERS = {**ReleaseImporterSpec.PARAMETERS, "task": component_spec.ExecutionParameter(type=str)}


class Judge(ReleaseImporter):
    """Brings the release that judges into the pipeline; its version and digest are in the cache key, so another one judges anew.

    Args:
        release: a label (stable, canary) or a version.
        task: that the judged model has.
    """

    SPEC_CLASS = JudgeSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
    DRIVER_CLASS = Driver

    def __init__(self, store_uri: str, model_name: str, release: str, task: str) -> None:
        super().__init__(store_uri, model_name, release, task=task)


def node(graph: Graph) -> Judge | None:
    judge = graph.workload.evaluation.judge
    if judge is None:
        return None
    name, release = judge.split("@")
    return Judge(graph.site.store_uri, name, release, graph.workload.task)
