"""The one training graph: a workload becomes a TFX pipeline.

The same function serves every runner; what differs (where artifacts and metadata lie) comes in as `Site`.
"""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Sequence

from tfx.dsl.components.base import base_component
from tfx.orchestration import pipeline as tfx_pipeline

from components import code_digest
from components.graph import Graph, Site
from spec import graph, tasks
from spec.workload import Workload


def training_pipeline(workload: Workload, span: int, site: Site) -> tfx_pipeline.Pipeline:
    """Builds the graph of `spec.graph`: every gate stands between the data and the release.

    Args:
        span: the newest span to train on; -1: the newest there is when the pipeline runs.
    """
    built = Graph(workload, span, site)
    built.add(graph.TRAINING)
    return pipeline_of(workload.name, built.nodes, site, code_of(str(workload.task)))


def code_of(task: str) -> list[pathlib.Path]:
    """The folder of a use case's own task, whose code runs in most nodes; empty for one of ours, which they import."""
    return [] if task in tasks.TASKS else [pathlib.Path(inspect.getfile(tasks.find(task))).parent]


def pipeline_of(
    name: str, nodes: Sequence[base_component.BaseComponent], site: Site, code: Sequence[pathlib.Path] = ()
) -> tfx_pipeline.Pipeline:
    """Nodes as a pipeline, for any runner.

    Args:
        code: folders of further code that every node runs.
    """
    code_digest.add_to_cache_keys(nodes, code)
    return tfx_pipeline.Pipeline(
        pipeline_name=name,
        pipeline_root=str(site.pipeline_root),
        components=list(nodes),
        enable_cache=True,
        metadata_connection_config=site.metadata,
        beam_pipeline_args=list(site.beam_args),
    )
