"""The graphs, a component a line. To add a component: its folder, and its line here.

A line is the name of a package. Nothing of it is imported: `<package>.record` is loaded by its name when somebody asks for the
records, and `<package>.component` when a pipeline is built, so that Airflow and the CLI know every node without TFX.
"""

from __future__ import annotations

import importlib

from spec.nodes import GateRecord, NodeRecord

# In the order in which the nodes are built and run: a gate on data before Transform, one on models before the Pusher.
TRAINING = (
    "components.schema",
    "components.judge",
    "components.origin",
    "components.teacher",
    "components.champion",
    "components.ingestion",
    "components.statistics",
    "components.example_validator",
    "components.data_quality",
    "components.drift",
    "components.transform",
    "components.catalogue",
    "components.tuner",
    "components.trainer",
    "components.variants",
    "components.baseline",
    "components.evaluator",
    "components.infra_validator",
    "components.pusher",
    "components.report",
)


def record_of(package: str) -> NodeRecord:
    """The record of a component's package."""
    found: NodeRecord = importlib.import_module(f"{package}.record").RECORD
    return found


def records() -> tuple[NodeRecord, ...]:
    """The nodes of the training graph, in its order."""
    return tuple(map(record_of, TRAINING))


def find(node_id: str) -> NodeRecord | None:
    """The record of a node; None where the training graph has no such node."""
    return next((one for one in records() if one.id == node_id), None)


def title(node_id: str) -> str:
    """A node in plain words; the id of one that is not in the graph."""
    found = find(node_id)
    return found.title if found else node_id


def gates() -> tuple[GateRecord, ...]:
    """The gates, in the graph's order."""
    return tuple(one for one in records() if isinstance(one, GateRecord))


def data_gates() -> tuple[GateRecord, ...]:
    """The gates that judge a span: what none of them refuses is accepted."""
    return tuple(one for one in gates() if one.on_data)


def model_gates() -> tuple[GateRecord, ...]:
    """The gates that judge a model: what one of them does not bless is not released."""
    return tuple(one for one in gates() if not one.on_data)
