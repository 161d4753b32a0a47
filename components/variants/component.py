from __future__ import annotations

import pathlib
from collections.abc import Mapping
from types import MappingProxyType

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border, user_code
from components.artifacts import ModelVariants
from components.graph import Graph
from components.trainer import TrainingConfig
from components.variants import executor
from spec.workload import Asset, Export


class VariantsSpec(ComponentSpec):
    PARAMETERS = {
        "module_file": ExecutionParameter(type=str),
        "module_digest": ExecutionParameter(type=str),
        "training": ExecutionParameter(type=str),
        "made": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "transformed_examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "hyperparameters": ChannelParameter(type=standard_artifacts.HyperParameters, optional=True),
    }
    OUTPUTS = {"variants": ChannelParameter(type=ModelVariants)}


class Variants(base_component.BaseComponent):
    """Makes compressed variants of the trained model, each a folder that answers as the model does.

    Args:
        training: how the model was fitted.
        export: which variants; what they must reach is the Evaluator's.
        hyperparameters: of a Tuner; they stood in place of those in `training`.
    """

    SPEC_CLASS = VariantsSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        transformed_examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        module_file: str,
        training: TrainingConfig,
        export: Export,
        assets: Mapping[str, Asset] = MappingProxyType({}),
        hyperparameters: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            VariantsSpec(
                model=model,
                transformed_examples=transformed_examples,
                transform_graph=transform_graph,
                schema=schema,
                hyperparameters=hyperparameters,
                module_file=module_file,
                module_digest=user_code.digest(pathlib.Path(module_file).parent, assets),
                training=border.dump(training),
                made=border.dump([one.made for one in export.variants]),
                variants=types.Channel(type=ModelVariants),
            )
        )


def node(graph: Graph) -> Variants | None:
    workload, made = graph.workload, graph.outputs
    if not workload.export.variants:
        return None
    return Variants(
        made["model"],
        made["transformed_examples"],
        made["transform_graph"],
        made["schema"],
        module_file=str(graph.site.workload_folder / "model.py"),
        training=TrainingConfig.of(workload, workload.training),
        export=workload.export,
        assets=workload.assets,
        hyperparameters=made.get("best_hyperparameters"),
    )
