from __future__ import annotations

from components.graph import Graph
from components.judge.driver import Driver
from components.release_importer.component import ReleaseImporter


class Judge(ReleaseImporter):
    """Brings the release that judges into the pipeline; its version and digest are in the cache key, so another one judges anew."""

    DRIVER_CLASS = Driver


def node(graph: Graph) -> Judge | None:
    judge = graph.workload.evaluation.judge
    return None if judge is None else Judge(graph.site.store_uri, *judge.split("@"))
