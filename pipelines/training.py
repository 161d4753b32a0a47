"""The one training graph: a workload becomes a TFX pipeline.

The same function serves every runner; what differs (where artifacts and metadata lie) comes in as `Site`.
"""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from tfx.dsl.components.base import base_component
from tfx.orchestration import pipeline as tfx_pipeline

from components import user_code
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
    # TFX's cache knows inputs and parameters. The components' own code belongs to the key too: a mended trainer must not be
    # answered with what the broken one made.
    code = user_code.digest(pathlib.Path(user_code.__file__).parent)
    for node in nodes:
        node.executor_spec.add_extra_flags([f"--components={code}"])
    return tfx_pipeline.Pipeline(
        pipeline_name=name,
        pipeline_root=str(site.pipeline_root),
        components=list(nodes),
        enable_cache=True,
        metadata_connection_config=site.metadata,
        beam_pipeline_args=list(site.beam_args),
    )
