"""The graph of batch inference: a release and raw files become predictions."""

from __future__ import annotations

from tfx.orchestration import pipeline as tfx_pipeline

from components import code_digest
from components.batch_inference import BatchInference, BatchInferenceConfig
from components.release_importer import ReleaseImporter
from pipelines.training import Site


def batch_inference_pipeline(
    workload: str, release: str, config: BatchInferenceConfig, site: Site
) -> tfx_pipeline.Pipeline:
    """Builds the graph.

    Args:
        workload: whose model.
        release: a label (stable, canary) or a version.
        config: what to predict for.
        site: where things lie; not the training pipeline's folders.
    """
    model = ReleaseImporter(site.store_uri, workload, release)
    inference = BatchInference(model.outputs["model"], config)
    code_digest.add_to_cache_keys([model, inference])
    return tfx_pipeline.Pipeline(
        pipeline_name=f"{workload}_batch_inference",
        pipeline_root=str(site.pipeline_root),
        components=[model, inference],
        enable_cache=True,
        metadata_connection_config=site.metadata,
        beam_pipeline_args=list(site.beam_args),
    )
