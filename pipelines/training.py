"""The one training graph: a workload becomes a TFX pipeline.

The same function serves every runner; what differs (where artifacts and metadata lie) comes in as `Site`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tfx.dsl.components.base import base_component
from tfx.orchestration import pipeline as tfx_pipeline

from components import code_digest
from components.graph import Graph, Site
from spec import graph
from spec.workload import Workload


def training_pipeline(workload: Workload, span: int, site: Site) -> tfx_pipeline.Pipeline:
    """Builds the graph of `spec.graph`: every gate stands between the data and the release.

    Args:
        workload: the use case.
        span: the newest span to train on; -1: the newest there is when the pipeline runs.
        site: where things lie.
    """
    built = Graph(workload, span, site)
    built.add(graph.TRAINING)
    return pipeline_of(workload.name, built.nodes, site)


def pipeline_of(name: str, nodes: Sequence[base_component.BaseComponent], site: Site) -> tfx_pipeline.Pipeline:
    """Nodes as a pipeline, for any runner."""
    code_digest.add_to_cache_keys(nodes)
    return tfx_pipeline.Pipeline(
        pipeline_name=name,
        pipeline_root=str(site.pipeline_root),
        components=list(nodes),
        enable_cache=True,
        metadata_connection_config=site.metadata,
        beam_pipeline_args=list(site.beam_args),
    )
