"""What the data gates have decided about each span, according to the metadata store."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2 as mlmd

from components.artifacts import DataDrift, noted_spans
from spec import graph

_WELL = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
_ILL = (mlmd.Execution.FAILED, mlmd.Execution.CANCELED)


class SpanVerdict(enum.StrEnum):
    """The latest verdict on a span; a span whose failures are waived is accepted."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"  # a gate has not run, or its result is gone


@dataclasses.dataclass(frozen=True)
class Judged:
    """One delivery of a span.

    Attributes:
        digest: of its files; empty if it is not known.
        profile: where DriftDetector left its distributions; empty if it refused the span, or they are gone.
    """

    span: int
    digest: str
    verdict: SpanVerdict
    profile: str


def judged(store: Any, pipeline: str) -> list[Judged]:
    """The deliveries that a pipeline has judged, by span, the latest delivery of a span last."""
    context = store.get_context_by_type_and_name("pipeline", pipeline)
    if context is None:
        return []
    kinds = {kind.id: kind.name.rpartition(".")[2] for kind in store.get_execution_types()}
    gates = {record.id for record in graph.data_gates()}
    asked = {one.id: one for one in store.get_executions_by_context(context.id) if kinds.get(one.type_id) in gates}
    states: dict[int, dict[str, int]] = {}  # id of the examples -> gate -> state of its last execution
    made: list[tuple[int, int]] = []  # execution, id of an output; the gates of a span end in any order
    read: dict[int, int] = {}
    for event in store.get_events_by_execution_ids(sorted(asked)) if asked else ():
        if event.type == mlmd.Event.INPUT and event.path.steps and event.path.steps[0].key == "examples":
            read[event.execution_id] = event.artifact_id
        elif event.type == mlmd.Event.OUTPUT:
            made.append((event.execution_id, event.artifact_id))
    for execution_id in sorted(read):
        execution = asked[execution_id]
        states.setdefault(read[execution_id], {})[kinds[execution.type_id]] = execution.last_known_state
    profiles = _profiles(store, [(read[execution], made_id) for execution, made_id in made if execution in read])
    asked_gates = {kinds[one.type_id] for one in asked.values()}
    found = [
        Judged(span, digest, _verdict(states[examples_id], asked_gates), profiles.get(examples_id, ""))
        for examples_id, span, digest in _spans(store, states)
    ]
    return sorted(found, key=lambda one: one.span)


def _verdict(states: dict[str, int], gates: Collection[str]) -> SpanVerdict:
    if any(state in _ILL for state in states.values()):
        return SpanVerdict.REFUSED
    return SpanVerdict.ACCEPTED if all(states.get(gate) in _WELL for gate in gates) else SpanVerdict.UNKNOWN


def _spans(store: Any, examples_ids: Iterable[int]) -> Iterable[tuple[int, int, str]]:
    """(id, newest span, its digest) of Examples artifacts, oldest first."""
    for artifact in sorted(store.get_artifacts_by_id(list(examples_ids)), key=lambda one: one.id):
        noted = noted_spans(artifact.custom_properties["spans"].string_value)
        yield artifact.id, artifact.properties["span"].int_value, noted[-1][1] if noted else ""


def _profiles(store: Any, made: Sequence[tuple[int, int]]) -> dict[int, str]:
    """The URI of the profile by the id of the examples.

    Args:
        made: ids of examples, and of what a gate made of them.
    """
    live = live_profiles(store, store.get_artifacts_by_id(sorted({made_id for _, made_id in made})))
    return {examples: live[made_id] for examples, made_id in made if made_id in live}


def live_profiles(store: Any, artifacts: Iterable[Any]) -> dict[int, str]:
    """The URI by the id of those artifacts that are profiles, and not deleted."""
    kinds = {kind.id for kind in store.get_artifact_types() if kind.name == DataDrift.TYPE_NAME}
    return {one.id: str(one.uri) for one in artifacts if one.type_id in kinds and one.state == one.LIVE}
