from __future__ import annotations

import pathlib
from collections.abc import Mapping
from types import MappingProxyType

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import border, user_code
from components.graph import Graph
from components.trainer import TrainingConfig
from components.trainer.component import origin_of
from components.tuner import executor
from spec.workload import Asset, Search


class TunerSpec(ComponentSpec):
    PARAMETERS = {
        "module_file": ExecutionParameter(type=str),
        "module_digest": ExecutionParameter(type=str),
        "training": ExecutionParameter(type=str),
        "search": ExecutionParameter(type=str),
        "metric": ExecutionParameter(type=str),
        "key": ExecutionParameter(type=str),
    }
    INPUTS = {
        "transformed_examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "origin": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"best_hyperparameters": ChannelParameter(type=standard_artifacts.HyperParameters)}


class Tuner(base_component.BaseComponent):
    """Tries hyper-parameters of `build_model`, and hands the best to the Trainer.

    Trials learn from a part of train and are compared on the rest of it: eval and test know nothing of the choice.

    Args:
        training: how to fit, but for what is searched.
        metric: by which trials are compared, of what training shows.
        origin: the release whose weights every trial begins with.
        key: the column whose rows are held out together; None: each row by itself.
    """

    SPEC_CLASS = TunerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        transformed_examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        schema: types.BaseChannel,
        module_file: str,
        training: TrainingConfig,
        search: Search,
        metric: str,
        key: str | None = None,
        assets: Mapping[str, Asset] = MappingProxyType({}),
        origin: types.BaseChannel | None = None,
    ) -> None:
        super().__init__(
            TunerSpec(
                transformed_examples=transformed_examples,
                transform_graph=transform_graph,
                schema=schema,
                origin=origin,
                module_file=module_file,
                module_digest=user_code.digest(pathlib.Path(module_file).parent, assets),
                training=border.dump(training),
                search=border.dump(search),
                metric=metric,
                key=key or "",
                best_hyperparameters=types.Channel(type=standard_artifacts.HyperParameters),
            )
        )


def node(graph: Graph) -> Tuner | None:
    workload = graph.workload
    if (search := workload.training.search) is None:
        return None
    return Tuner(
        graph.outputs["transformed_examples"],
        graph.outputs["transform_graph"],
        graph.outputs["schema"],
        module_file=str(graph.site.workload_folder / "model.py"),
        # Without the values that workload.yaml gives what is searched: to write the winner's there is to search nothing anew.
        training=TrainingConfig.of(workload, workload.training.without_searched()),
        search=search,
        metric=workload.search_metric.name,
        key=workload.split.key,
        assets=workload.assets,
        origin=origin_of(graph),
    )
