"""The graph of batch inference: a release and raw files become predictions."""

from __future__ import annotations

import pathlib

from tfx.orchestration import pipeline as tfx_pipeline

from components import user_code
from components.batch_inference import BatchInference
from components.release_importer import ReleaseImporter
from pipelines.training import Site
from spec.workload import BatchInput


def batch_inference_pipeline(workload: str, release: str, config: BatchInput, site: Site) -> tfx_pipeline.Pipeline:
    """Builds the graph.

    Args:
        workload: whose model.
        release: a label (stable, canary) or a version.
        config: what to predict for.
        site: where things lie; not the training pipeline's folders.
    """
    model = ReleaseImporter(site.store_uri, workload, release)
    inference = BatchInference(model.outputs["model"], config)
    code = user_code.digest(pathlib.Path(user_code.__file__).parent)
    for component in (model, inference):
        component.executor_spec.add_extra_flags([f"--components={code}"])
    return tfx_pipeline.Pipeline(
        pipeline_name=f"{workload}_batch_inference",
        pipeline_root=str(site.pipeline_root),
        components=[model, inference],
        enable_cache=True,
        metadata_connection_config=site.metadata,
        beam_pipeline_args=list(site.beam_args),
    )
