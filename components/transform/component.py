from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tfx import types
from tfx.dsl.components.base import base_beam_component, base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border, user_code
from components.graph import Graph
from components.transform import executor
from spec.workload import Asset


class TransformSpec(ComponentSpec):
    PARAMETERS = {
        "module_file": ExecutionParameter(type=str),
        "module_digest": ExecutionParameter(type=str),
        "label": ExecutionParameter(type=str),
        "task": ExecutionParameter(type=str),
        "task_options": ExecutionParameter(type=str),
        "positive_class": ExecutionParameter(type=str),
        "personal_features": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "transformed_examples": ChannelParameter(type=standard_artifacts.Examples),
    }


class Transform(base_beam_component.BaseBeamComponent):
    """Runs `preprocessing_fn(inputs) -> features` of a workload's features.py over the data.

    `inputs` are the raw features without the label: dense tensors [N] or [N, d] where the schema gives a shape, sparse ones
    where values may be missing. The label is mapped here (class index, or float32), so that no workload repeats it.
    Columns that the schema tags as personal are not among them, but for `personal_features`.
    """

    SPEC_CLASS = TransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        module_file: str,
        label: str,
        task: str,
        positive_class: str = "",
        assets: Mapping[str, Asset] = MappingProxyType({}),
        task_options: Mapping[str, Any] | None = None,
        personal_features: Sequence[str] = (),
    ) -> None:
        super().__init__(
            TransformSpec(
                examples=examples,
                schema=schema,
                module_file=module_file,
                module_digest=user_code.digest(pathlib.Path(module_file).parent, assets),
                label=label,
                task=task,
                task_options=border.dump(task_options or {}),
                positive_class=positive_class,
                personal_features=border.dump(personal_features),
                transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
                transformed_examples=types.Channel(type=standard_artifacts.Examples),
            )
        )


def node(graph: Graph) -> base_component.BaseComponent:
    workload, label = graph.workload, graph.workload.data.label
    return graph.after_data_gates(
        Transform(
            graph.outputs["examples"],
            graph.outputs["schema"],
            module_file=str(graph.site.workload_folder / "features.py"),
            label=workload.data.label_column or "",
            task=workload.task,
            task_options=workload.task_options.model_dump(mode="json"),
            personal_features=workload.data.personal_features,
            positive_class=(label and label.positive_class) or "",
            assets=workload.assets,
        )
    )
