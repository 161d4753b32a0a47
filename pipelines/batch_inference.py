"""The graph of batch inference: a release and raw files become predictions."""

from __future__ import annotations

from tfx.orchestration import pipeline as tfx_pipeline

from components.batch_inference.component import BatchInference
from components.graph import Site
from components.release_importer.component import ReleaseImporter
from pipelines.training import pipeline_of
from spec.workload import BatchInput


def batch_inference_pipeline(workload: str, release: str, config: BatchInput, site: Site) -> tfx_pipeline.Pipeline:
    """Builds the graph.

    Args:
        release: a label (stable, canary) or a version.
        site: where things lie; not the training pipeline's folders.
    """
    model = ReleaseImporter(site.store_uri, workload, release)
    inference = BatchInference(model.outputs["model"], config)
    return pipeline_of(f"{workload}_batch_inference", [model, inference], site)
