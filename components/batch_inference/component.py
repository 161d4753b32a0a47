from __future__ import annotations

from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import channel, component_spec, standard_artifacts

from components import border
from components.batch_inference import driver, executor
from spec.workload import BatchInput


class BatchInferenceSpec(component_spec.ComponentSpec):
    PARAMETERS = {
        "input_config": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str, optional=True),
        "files": component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"model": component_spec.ChannelParameter(type=standard_artifacts.Model)}
    OUTPUTS = {"predictions": component_spec.ChannelParameter(type=standard_artifacts.InferenceResult)}


class BatchInference(base_beam_component.BaseBeamComponent):
    """Predicts for every row of raw files: `predictions-*.parquet`, `failed.parquet` and `index.json`.

    The release says which columns it takes, so a file needs neither the label nor a schema of its own. A row that cannot be
    predicted goes into `failed.parquet` with the reason: rows in = rows predicted + rows failed. The driver hashes the
    files' content into the cache key.
    """

    SPEC_CLASS = BatchInferenceSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(self, model: channel.BaseChannel, input_config: BatchInput) -> None:
        super().__init__(
            BatchInferenceSpec(
                model=model,
                input_config=border.dump(input_config),
                fingerprint="",  # the driver fills these in
                files="",
                predictions=channel.Channel(type=standard_artifacts.InferenceResult),
            )
        )
