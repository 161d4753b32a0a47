from __future__ import annotations

import pathlib

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.graph import Graph
from components.ingestion import driver, executor
from components.ingestion._config import IngestionConfig
from components.ingestion._reading import Reading
from spec.workload import Workload


class ColumnarExampleGenSpec(ComponentSpec):
    PARAMETERS = {
        "input_config": ExecutionParameter(type=str),
        "span": ExecutionParameter(type=int),
        "fingerprint": ExecutionParameter(type=str, optional=True),
        "spans": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {"schema": ChannelParameter(type=standard_artifacts.Schema)}
    OUTPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}


class ColumnarExampleGen(base_beam_component.BaseBeamComponent):
    """Reads a rolling window of spans and writes Examples as Parquet, typed by the schema.

    The driver finds the span's files and hashes their content into the cache key: a changed byte is read again, a
    touched modification time is not.
    """

    SPEC_CLASS = ColumnarExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = driver.Driver

    def __init__(self, schema: types.BaseChannel, input_config: IngestionConfig, span: int) -> None:
        """Args:
        schema: types, presence and the label's classes.
        input_config: what to read and how to divide it.
        span: the newest span to read; -1: the newest there is when the node runs.
        """
        super().__init__(
            ColumnarExampleGenSpec(
                schema=schema,
                input_config=input_config.to_json(),
                span=span,
                fingerprint="",
                spans="",
                examples=types.Channel(type=standard_artifacts.Examples),
            )
        )


def node(graph: Graph) -> ColumnarExampleGen:
    return ColumnarExampleGen(graph.outputs["schema"], _config(graph.workload, graph.site.data_root), graph.span)


def _config(workload: Workload, data_root: pathlib.Path | str) -> IngestionConfig:
    data = workload.data
    return IngestionConfig(
        uri=workload.span_uri("{SPAN}", data_root),
        format=data.format,
        label=data.label_column,
        window=data.window,
        ignore=data.ignore,
        split_key=workload.split_key,
        split_time=data.split.time,
        split_column=data.split.column,
        eval_fraction=data.split.eval_fraction,
        test_fraction=data.split.test_fraction,
        split_seed=data.split.seed,
        on_bad_rows=data.on_bad_rows,
        max_bad_fraction=data.max_bad_fraction,
        reading=Reading.of(data.read.model_dump()),
        merge_spellings=bool(data.label and data.label.merge_spellings),
        drop_unlabelled=bool(data.label and data.label.drop_unlabelled),
    )
