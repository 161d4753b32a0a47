"""What the nodes of a pipeline are wired from: the workload, its places, and what the nodes before them make.

Each component's module has `node(graph)`, which builds its node, or None where the workload does without it.
"""

from __future__ import annotations

import dataclasses
import importlib
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfx.dsl.components.base import base_component
from tfx.types import BaseChannel, component_spec

from spec.graph import record_of
from spec.nodes import NodeRecord
from spec.workload import Workload


@dataclasses.dataclass(frozen=True)
class Site:
    """Where a pipeline finds and leaves things.

    Attributes:
        workload_folder: features.py and model.py.
        schema_folder: schema.pbtxt and expectations.json.
        data_root: fills `{DATA}` in data.uri; a folder, or the URL of one.
        pipeline_root: artifacts go below it; a folder, or the URL of one.
        store_uri: the model store.
        metadata: MLMD's ConnectionConfig.
        code_revision: git revision of the code, for the release's manifest.
        code_digest: of that code.
        beam_args: Beam's pipeline options; none: in this process, as far as it goes.
    """

    workload_folder: pathlib.Path
    schema_folder: pathlib.Path
    data_root: pathlib.Path | str
    pipeline_root: pathlib.Path | str
    store_uri: str
    metadata: Any
    code_revision: str
    beam_args: tuple[str, ...] = ()
    code_digest: str = ""


class Graph:
    """A graph while it is built.

    Args:
        workload: the use case.
        span: the newest span to train on; -1: the newest there is when the pipeline runs.
        site: where things lie.

    Attributes:
        outputs: of the nodes so far, by their names among a run's artifacts (`NodeRecord.name_of`).
    """

    def __init__(self, workload: Workload, span: int, site: Site) -> None:
        self.workload, self.span, self.site = workload, span, site
        self.outputs: dict[str, BaseChannel] = {}
        self._nodes: list[tuple[NodeRecord, base_component.BaseComponent]] = []

    @property
    def root(self) -> str:
        return str(self.site.pipeline_root)

    @property
    def nodes(self) -> list[base_component.BaseComponent]:
        return [node for _, node in self._nodes]

    def add(self, packages: Sequence[str]) -> None:
        """Builds the node of each component, in order; a later one may take what an earlier one makes."""
        for package in packages:
            build: Callable[[Graph], base_component.BaseComponent | None]
            build = importlib.import_module(f"{package}.component").node
            if (node := build(self)) is not None:
                record = record_of(package)
                self._nodes.append((record, node))
                self.outputs |= {record.name_of(output): channel for output, channel in node.outputs.items()}

    def reported(self) -> dict[str, BaseChannel]:
        """The outputs that the report tells of."""
        names = {name for record, _ in self._nodes for name in record.reported.values()}
        return {name: channel for name, channel in self.outputs.items() if name in names}

    def gated(self) -> dict[str, BaseChannel]:
        """What the gates found, and the blessings that those on models give."""
        names = [
            record.name_of(output)
            for record, _ in self._nodes
            if record.gate
            for output in (record.gate.output, record.gate.blessing)
            if output
        ]
        return {name: self.outputs[name] for name in names}

    def after_data_gates(self, node: base_component.BaseComponent) -> base_component.BaseComponent:
        """A node that waits for the gates on data. They make nothing that it needs: order alone makes them gates."""
        node.add_upstream_nodes([gate for record, gate in self._nodes if record.gate and record.gate.on_data])
        return node


def with_inputs(spec: type[component_spec.ComponentSpec], made: Mapping[str, BaseChannel]) -> Any:
    """A component's specification with an input more for each channel: of a node that takes whatever the graph makes."""
    inputs = {name: component_spec.ChannelParameter(type=channel.type) for name, channel in made.items()}
    return type(spec.__name__, (spec,), {"INPUTS": {**spec.INPUTS, **inputs}})
