from __future__ import annotations

import json
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import ItemCatalogue
from components.catalogue import executor
from components.graph import Graph
from components.tasks import find


class CatalogueSpec(ComponentSpec):
    PARAMETERS = {
        "item": ExecutionParameter(type=str),
        "columns": ExecutionParameter(type=str),
        "query": ExecutionParameter(type=str),
    }
    INPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"catalogue": ChannelParameter(type=ItemCatalogue)}


class Catalogue(base_component.BaseComponent):
    """Lists the distinct items of train with their columns, and what each query has had of them.

    Trainer, Baseline and Evaluator read it: what is served is found among these items, and what is judged are places in this list.

    Args:
        item: the column of the ids; None: each row is an item.
        columns: of the items.
        query: the column of the queries; None: rows are not anybody's.
    """

    SPEC_CLASS = CatalogueSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self, examples: types.BaseChannel, item: str | None, columns: Sequence[str], query: str | None = None
    ) -> None:
        super().__init__(
            CatalogueSpec(
                examples=examples,
                item=item or "",
                columns=json.dumps(list(columns)),
                query=query or "",
                catalogue=types.Channel(type=ItemCatalogue),
            )
        )


def node(graph: Graph) -> base_component.BaseComponent | None:
    workload = graph.workload
    wanted = find(workload.task)(options=workload.task_options).catalogue_columns()
    if wanted is None:
        return None
    item, described = wanted
    columns = [*dict.fromkeys([*described, *filter(None, [workload.data.label_column])])]
    return graph.after_data_gates(Catalogue(graph.outputs["examples"], item, columns, workload.data.query))
