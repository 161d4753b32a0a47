from __future__ import annotations

import pathlib
from collections.abc import Mapping
from types import MappingProxyType

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border, user_code
from components.artifacts import ItemCatalogue
from components.graph import Graph
from components.trainer import executor
from components.trainer._config import TrainingConfig
from spec.workload import CHAMPION, Asset


class TrainerSpec(ComponentSpec):
    PARAMETERS = {
        "module_file": ExecutionParameter(type=str),
        "module_digest": ExecutionParameter(type=str),
        "training": ExecutionParameter(type=str),
        "explain": ExecutionParameter(type=int),
    }
    INPUTS = {
        "transformed_examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "teacher": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "examples": ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "origin": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "catalogue": ChannelParameter(type=ItemCatalogue, optional=True),
        "hyperparameters": ChannelParameter(type=standard_artifacts.HyperParameters, optional=True),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Trainer(base_component.BaseComponent):
    """Builds the workload's model with `build_model(schema, hyperparameters)`, fits it, and exports a SavedModel.

    The SavedModel takes raw features, by tensors or as serialized tf.Examples: the transform graph is inside. Of a task that finds
    items, those of the catalogue are inside too.

    Args:
        training: how to fit.
        explain: whether the SavedModel explains its answers.
        hyperparameters: of a Tuner; they stand in place of those in `training`.
        origin: the release whose weights it begins with.
        teacher: the release that it learns from, with `examples`.
        examples: what was transformed, which the teacher is asked about.
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        transformed_examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        module_file: str,
        training: TrainingConfig,
        explain: bool,
        catalogue: types.BaseChannel | None = None,
        assets: Mapping[str, Asset] = MappingProxyType({}),
        hyperparameters: types.BaseChannel | None = None,
        origin: types.BaseChannel | None = None,
        teacher: types.BaseChannel | None = None,
        examples: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            TrainerSpec(
                transformed_examples=transformed_examples,
                transform_graph=transform_graph,
                schema=schema,
                catalogue=catalogue,
                hyperparameters=hyperparameters,
                origin=origin,
                teacher=teacher,
                examples=examples,
                module_file=module_file,
                module_digest=user_code.digest(pathlib.Path(module_file).parent, assets),
                training=border.dump(training),
                explain=int(explain),
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )


def node(graph: Graph) -> Trainer:
    workload = graph.workload
    teacher = graph.outputs.get("teacher")
    return Trainer(
        graph.outputs["transformed_examples"],
        graph.outputs["transform_graph"],
        graph.outputs["schema"],
        module_file=str(graph.site.workload_folder / "model.py"),
        training=TrainingConfig.of(workload, workload.training),
        explain=workload.export.explain,
        hyperparameters=graph.outputs.get("best_hyperparameters"),
        catalogue=graph.outputs.get("catalogue"),
        assets=workload.assets,
        origin=origin_of(graph),
        teacher=teacher,
        examples=graph.outputs["examples"] if teacher else None,
    )


def origin_of(graph: Graph) -> types.BaseChannel | None:
    """The release that `training.start_from` names."""
    is_champion = graph.workload.training.start_from == CHAMPION
    return graph.outputs["champion"] if is_champion else graph.outputs.get("origin")
